// Measures in the page. A change counts as painted at the end of the browser's frame in which Bokeh has drawn the
// matches' figure with all its pictures decoded: its layout and paint are done then, and it is with the compositor.
window.vfsLatency = (() => {
  const views = function* (view) {
    yield view
    for (const child of view.children?.() ?? []) yield* views(child)
  }
  const all = function* () { for (const root of Bokeh.index.roots) yield* views(root) }
  const model = name => {
    for (const doc of Bokeh.documents) for (const one of doc._all_models.values()) if (one.name === name) return one
  }
  const figure = () => {
    for (const view of all()) {
      if (view.model.type !== "Figure") continue
      const isMatches = view.model.renderers.some(r => {
        const data = r.data_source?.data ?? {}
        return "url" in data && "image_id" in data && "rank" in data
      })
      if (isMatches) return view
    }
  }
  const glyphs = view => view.model.renderers.map(r => [...views(view)].find(v => v.model === r)?.glyph).filter(g => g)
  const whole = view => glyphs(view).every(g => !(g.loaders ?? []).some(l => l))
  // What is posted during a frame comes after it; what is drawn between frames is shown with the next one.
  const raf = window.requestAnimationFrame.bind(window)
  let within = false
  window.requestAnimationFrame = callback => raf(at => { within = true; try { callback(at) } finally { within = false } })
  const after = done => {
    const post = () => {
      const channel = new MessageChannel()
      channel.port1.onmessage = () => done(performance.now())
      channel.port2.postMessage(0)
    }
    if (within) post(); else raf(post)
  }
  const state = {moves: [], painted: [], frames: [], up: 0}
  let hooked = null, dirty = false, waiting = [], frame = 0
  function flush() {
    if (!waiting.length) return
    const these = waiting
    waiting = []
    after(at => state.painted.push(...these.map(probe => ({...probe, at}))))
  }
  function hook() {
    const view = figure()
    if (!view || view === hooked) return
    hooked = view
    for (const r of view.model.renderers) r.data_source?.properties.data.change.connect(() => { dirty = true })
    view.repainted.connect(() => {
      if (!dirty || !whole(view)) return
      dirty = false
      if (!frame) frame = after(at => { frame = 0; state.frames.push(at) })
      flush()
    })
  }
  function watch() {
    const probe = model("vfs-probe")
    // The matches come in the same message, perhaps after it. All of a message is applied before a microtask runs.
    probe.properties.data.change.connect(() => queueMicrotask(() => {
      const before = hooked
      hook()  // the figure is drawn with the first result
      const {x, exact, of, down} = probe.data
      waiting.push({x: x[0], exact: exact[0], of: of[0], down: down[0], said: performance.now()})
      if (!dirty && before === hooked) flush()  // the matches are the same as before
      else if (before !== hooked) setTimeout(() => { dirty = false; flush() }, 0)
    }))
    Element.prototype.setPointerCapture = () => {}  // there is no such pointer
  }
  function under(x, y) {
    let el = document.elementFromPoint(x, y)
    while (el?.shadowRoot) {
      const inner = el.shadowRoot.elementFromPoint(x, y)
      if (!inner || inner === el) break
      el = inner
    }
    return el
  }
  let target = null
  function pointer(type, x, y) {
    if (type === "pointerdown") target = under(x, y)
    target.dispatchEvent(new PointerEvent(type, {
      bubbles: true, composed: true, cancelable: true, clientX: x, clientY: y, pointerId: 7, isPrimary: true,
      pointerType: "mouse", button: type === "pointermove" ? -1 : 0, buttons: type === "pointerup" ? 0 : 1,
      pressure: type === "pointerup" ? 0 : 0.5}))
  }
  const sleep = ms => new Promise(done => setTimeout(done, ms))
  const rest = async (done, limit) => {
    const start = performance.now()
    while (!done() && performance.now() - start < limit) await sleep(5)
    return done()
  }
  // A stroke to the right over the box of the canvas, whose sides are `side` pixels of the picture.
  async function stroke({left, top, size, side, seconds, wave, from = 0.15, to = 0.85}) {
    const path = s => [left + size * (from + (to - from) * s), top + size * (0.5 + 0.22 * Math.sin(wave + 7 * s))]
    const moves = [], start = performance.now()
    state.painted = []; state.frames = []
    pointer("pointerdown", ...path(0))
    for (let s = 0; s < 1;) {
      await sleep(15)
      s = Math.min(1, (performance.now() - start) / (1000 * seconds))
      const [x, y] = path(s), at = performance.now()
      pointer("pointermove", x, y)
      moves.push({x: (x - left) / size * side, at})
    }
    const up = performance.now(), frames = state.frames.length
    pointer("pointerup", ...path(1))
    await rest(() => state.painted.some(p => p.exact && !p.down && p.said > up), 10000)
    return {moves, painted: state.painted, frames, seconds: (up - start) / 1000, up}
  }
  // Single moves, each after a rest.
  async function steps({left, top, size, side, count, pause, high}) {
    const path = s => [left + size * (0.15 + 0.7 * s), top + size * (high + 0.2 * s)], moves = []
    state.painted = []; state.frames = []
    pointer("pointerdown", ...path(0))
    for (let i = 1; i <= count; i++) {
      const [x, y] = path(i / count), at = performance.now()
      pointer("pointermove", x, y)
      moves.push({x: (x - left) / size * side, at})
      await rest(() => state.painted.some(p => p.x > moves.at(-1).x - 0.5), 3000)
      await sleep(pause)
    }
    pointer("pointerup", ...path(1))
    return {moves, painted: state.painted}
  }
  return {watch, stroke, steps}
})()
