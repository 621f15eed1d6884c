// Bokeh (3.x) writes the place of every glyph into a style sheet of its own whenever it paints, changed or not, and the
// browser then computes all styles anew: a tenth of the page's time under a moving pen. The same text is left alone.
function calmStyleSheets() {
  try {
    const sheet = Bokeh.require("core/dom").InlineStyleSheet.prototype, write = sheet._update
    if (write.calm) return
    sheet._update = function (css) { if (this.el.textContent !== css) write.call(this, css) }
    sheet._update.calm = true
  } catch { /* another Bokeh: as slow as it is */ }
}
