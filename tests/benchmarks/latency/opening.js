// Notes when the page can be used: the canvas has painted its picture, the tools are there, and the status is "Ready".
(() => {
  const views = function* (view) {
    yield view
    for (const child of view.children?.() ?? []) yield* views(child)
  }
  const deep = (root, selector) => {
    const found = root.querySelector(selector)
    if (found) return found
    for (const el of root.querySelectorAll("*")) {
      const inner = el.shadowRoot && deep(el.shadowRoot, selector)
      if (inner) return inner
    }
    return null
  }
  const drawn = () => {
    for (const root of window.Bokeh?.index?.roots ?? []) for (const view of views(root)) {
      if (view.model.type !== "Figure" || !view.model.renderers.some(r => "url" in (r.data_source?.data ?? {}))) continue
      const glyphs = [...views(view)].map(v => v.glyph).filter(g => g?.loaders)
      if (glyphs.some(g => g.image?.some(i => i)) && view._render_count > 0) return true
    }
    return false
  }
  const look = () => {
    const ready = deep(document, ".says")?.textContent.trim().startsWith("Ready")
    if (ready && deep(document, '[aria-label="Tool"] button') && drawn()) {
      requestAnimationFrame(() => { window.vfsUsable = performance.now() })
      return
    }
    setTimeout(look, 20)
  }
  look()
})()
