// Two ways of Bokeh (3.x) that a hand on this page would suffer from. Another Bokeh is left as it is.
function mendBokeh() {
  calmStyleSheets()
  restBeforeMoving()
}
// Bokeh writes the place of every glyph into a style sheet of its own whenever it paints, changed or not, and the
// browser then computes all styles anew: a tenth of the page's time under a moving pen. The same text is left alone.
function calmStyleSheets() {
  try {
    const sheet = Bokeh.require("core/dom").InlineStyleSheet.prototype, write = sheet._update
    if (write.calm) return
    sheet._update = function (css) { if (this.el.textContent !== css) write.call(this, css) }
    sheet._update.calm = true
  } catch { /* it has no such thing */ }
}
// A pointer that rests for 300 ms is a "press" to Bokeh, whose way from there on is nothing to any tool: a stroke begun
// with care, or while the page was busy, would be lost. So the gesture begins anew until the pointer moves or is lifted.
const REST_MS = 200, REST_PX = 5
function restBeforeMoving() {
  if (document.vfsRests) return
  document.vfsRests = true
  let timer = 0, start = null
  const stop = () => { clearTimeout(timer); timer = 0 }
  const again = area => {
    const {pointerId, pointerType, isPrimary, button, buttons, clientX, clientY, shiftKey, ctrlKey, altKey} = start
    const same = {pointerId, pointerType, isPrimary, button, buttons, clientX, clientY, shiftKey, ctrlKey, altKey, bubbles: true, composed: true}
    for (const name of ["pointercancel", "pointerdown"]) area.dispatchEvent(new PointerEvent(name, same))
    timer = setTimeout(again, REST_MS, area)
  }
  // Not in the capturing phase: what the page draws itself does not come to Bokeh.
  document.addEventListener("pointerdown", event => {
    if (!event.isTrusted) return
    stop()
    const [area, ...around] = event.composedPath(), has = (node, name) => !!node.classList?.contains(name)
    if (!event.isPrimary || event.button !== 0 || !has(area, "bk-events") || !around.some(node => has(node, "vfs-root"))) return
    start = event
    timer = setTimeout(again, REST_MS, area)
  })
  const moved = event => { if (timer && Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > REST_PX) stop() }
  document.addEventListener("pointermove", moved, true)
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, event => { if (event.isTrusted) stop() }, true)
}
