// What lies over the canvas: the brush's ring, hints, the strokes that Bokeh's own tool cannot draw (pen, finger, lasso,
// box, and everything while zoomed), zoom and pan; and the keys of the whole page.
const SEND_MS = 40, APART_PX = 1.5, MOST_ZOOM = 8
const INK = {include: "rgba(232,89,12,.5)", exclude: "rgba(16,19,23,.5)", erase: "rgba(255,255,255,.35)"}
const KEYS = {b: "brush", e: "eraser", l: "lasso", r: "box", x: "polarity", "[": "smaller", "]": "larger", g: "cells", Delete: "clear",
  s: "from_match", d: "theme", "?": "help", "1": "tab1", "2": "tab2", "3": "tab3", "4": "tab4", "5": "tab5",
  ArrowLeft: "previous", ArrowRight: "next", Enter: "open", Escape: "escape"}
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const host = el.getRootNode().host, box = host.getRootNode().host || host.parentElement
  const ring = h("div", {class: "cursor", hidden: true}), hint = h("div", {class: "hintline"}), outside = h("div", {class: "outsidewords"})
  const paper = h("canvas", {"aria-hidden": "true"}), pen = paper.getContext("2d")
  const whole = h("button", {type: "button", class: "zoomed", hidden: true, title: "Show the whole picture (0)", onclick: () => zoomTo(1)})
  el.append(h("div", {class: "over"}, paper, outside, hint, whole, ring))

  // --- zoom and pan: by the ranges of the figure below, so that picture, ink and cells stay together
  const view = {zoom: 1, x: 0, y: 0}
  const side = () => host.getBoundingClientRect().width || 1
  const figure = () => Bokeh.documents.map(doc => doc.get_model_by_id(model.view.figure)).find(found => found) ?? null
  const BLEED = 4
  function show() {
    const room = side() * (view.zoom - 1)
    view.x = Math.min(0, Math.max(-room, view.x)); view.y = Math.min(0, Math.max(-room, view.y))
    const below = figure(), seen = (at, offset) => (at - offset) / view.zoom + 0.5
    if (below) {
      const far = side() + BLEED
      below.x_range.setv({start: seen(-BLEED, view.x), end: seen(far, view.x)}, {sync: false})
      below.y_range.setv({start: seen(far, view.y), end: seen(-BLEED, view.y)}, {sync: false})
    }
    whole.hidden = view.zoom === 1
    put(whole, {text: `${Math.round(view.zoom * 100)} %`, "aria-label": `Shown at ${Math.round(view.zoom * 100)} %. Show the whole picture`})
    resizeRing(); redraw()
  }
  function zoomTo(zoom, at = {x: side() / 2, y: side() / 2}) {
    const to = Math.min(MOST_ZOOM, Math.max(1, zoom)), by = to / view.zoom
    view.x = at.x - (at.x - view.x) * by; view.y = at.y - (at.y - view.y) * by; view.zoom = to < 1.01 ? 1 : to
    show()
  }
  const place = event => { const at = host.getBoundingClientRect(); return {x: event.clientX - at.left, y: event.clientY - at.top} }
  const onPicture = at => [(at.x - view.x) / view.zoom, (at.y - view.y) / view.zoom]
  const wheel = event => {
    event.preventDefault(); event.stopPropagation()
    zoomTo(view.zoom * Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), place(event))
  }
  box.addEventListener("wheel", wheel, {capture: true, passive: false})

  // --- strokes of this component
  let stroke = null, kept = null, pan = null, space = false, sentAt = 0
  const fingers = new Map()
  // What a key chose counts at once: the next stroke may begin before the server has heard of it.
  const chosen = {tool: "brush", polarity: "include"}
  const tool = () => chosen.tool, mode = () => chosen.tool === "eraser" ? "erase" : chosen.polarity
  function redraw() {
    const size = side(), scale = devicePixelRatio || 1
    if (paper.width !== Math.round(size * scale)) paper.width = paper.height = Math.round(size * scale)
    pen.setTransform(1, 0, 0, 1, 0, 0); pen.clearRect(0, 0, paper.width, paper.height)
    pen.setTransform(scale * view.zoom, 0, 0, scale * view.zoom, scale * view.x, scale * view.y)
    for (const one of [kept, stroke]) if (one) draw(one)
  }
  function draw({points, pressures, shape, mode, width}) {
    pen.fillStyle = pen.strokeStyle = INK[mode]
    pen.lineCap = pen.lineJoin = "round"
    pen.beginPath()
    if (shape === "fill" || !pressures) {
      points.forEach(([x, y], i) => i ? pen.lineTo(x, y) : pen.moveTo(x, y))
      if (shape === "fill") { pen.closePath(); pen.fill(); pen.lineWidth = 1.5 / view.zoom; pen.setLineDash([5 / view.zoom, 4 / view.zoom]); pen.strokeStyle = "#fff"; pen.stroke(); pen.setLineDash([]) }
      else { if (points.length === 1) pen.lineTo(points[0][0] + 0.01, points[0][1]); pen.lineWidth = width; pen.stroke() }
      return
    }
    for (let i = Math.min(1, points.length - 1); i < points.length; i++) {
      const [ax, ay] = points[Math.max(0, i - 1)], [bx, by] = points[i]
      pen.beginPath(); pen.moveTo(ax, ay); pen.lineTo(bx + 0.01, by)
      pen.lineWidth = width * Math.max(0.15, (pressures[Math.max(0, i - 1)] + pressures[i]) / 2); pen.stroke()
    }
  }
  function tell(done) {
    const now = performance.now()
    if (!stroke || (!done && now - sentAt < SEND_MS)) return
    sentAt = now
    const round = v => Math.round(v * 10) / 10
    say("stroke", {points: stroke.points.map(([x, y]) => [round(x), round(y)]), shape: stroke.shape, done,
      pressures: stroke.pressures ? stroke.pressures.map(p => Math.round(p * 100) / 100) : null})
  }
  function begin(event) {
    const at = onPicture(place(event)), fill = tool() === "lasso" || tool() === "box"
    const soft = event.pointerType === "pen" && !fill
    stroke = {id: event.pointerId, start: at, points: [at], pressures: soft ? [event.pressure] : null,
      shape: fill ? "fill" : "line", mode: mode(), width: model.view.ring_px || 20, box: tool() === "box"}
    kept = null
    redraw(); tell(false)
  }
  function follow_(event) {
    const events = event.getCoalescedEvents?.() || []
    for (const one of events.length ? events : [event]) {
      const [x, y] = onPicture(place(one))
      if (stroke.box) {
        const [ax, ay] = stroke.start
        stroke.points = [[ax, ay], [x, ay], [x, y], [ax, y]]
        continue
      }
      const [lx, ly] = stroke.points[stroke.points.length - 1]
      if (Math.hypot(x - lx, y - ly) < APART_PX) continue
      stroke.points.push([x, y])
      if (stroke.pressures) stroke.pressures.push(one.pressure)
    }
    redraw(); tell(false)
  }
  function finish() {
    if (stroke.shape === "fill" && (stroke.points.length < 3 || (stroke.box && extent(stroke.points) < 3))) return cancel()
    tell(true)
    kept = stroke; stroke = null  // until its ink is there
    const mine = kept
    setTimeout(() => { if (kept === mine) { kept = null; redraw() } }, 3000)
  }
  const extent = points => Math.min(...[0, 1].map(i => Math.max(...points.map(p => p[i])) - Math.min(...points.map(p => p[i]))))
  function cancel() {
    stroke = kept = null
    redraw(); say("stroke", {points: [], done: true})
  }
  const down = event => {
    if (event.composedPath().some(node => node === whole)) return
    const panning = event.button === 1 || (space && event.button === 0)
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, place(event))
      if (fingers.size === 2) {
        if (stroke) cancel()
        const [a, b] = [...fingers.values()]
        pan = {spread: Math.hypot(a.x - b.x, a.y - b.y), zoom: view.zoom, x: (a.x + b.x) / 2, y: (a.y + b.y) / 2}
      }
    }
    const own = panning || event.pointerType !== "mouse" || view.zoom > 1 || tool() === "lasso" || tool() === "box"
    if (!own) return  // the mouse's brush is Bokeh's: its freehand-draw stream
    event.stopPropagation(); event.preventDefault()
    try { box.setPointerCapture(event.pointerId) } catch { /* a made-up pointer has none */ }
    if (panning) pan = {...place(event)}
    else if (!pan && event.button <= 0 && !stroke) begin(event)
  }
  const move = event => {
    const at = place(event)
    ring.hidden = event.pointerType === "touch" || at.x < 0 || at.y < 0 || at.x > side() || at.y > side() || tool() === "lasso" || tool() === "box"
    ring.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, at)
    if (pan && fingers.size === 2) {
      const [a, b] = [...fingers.values()], x = (a.x + b.x) / 2, y = (a.y + b.y) / 2
      view.x += x - pan.x; view.y += y - pan.y; pan.x = x; pan.y = y
      zoomTo(pan.zoom * Math.hypot(a.x - b.x, a.y - b.y) / Math.max(1, pan.spread), {x, y})
    } else if (pan && !fingers.size) {
      view.x += at.x - pan.x; view.y += at.y - pan.y; pan.x = at.x; pan.y = at.y
      show()
    } else if (stroke && event.pointerId === stroke.id) {
      event.stopPropagation()
      follow_(event)
    }
  }
  const up = event => {
    fingers.delete(event.pointerId)
    if (pan) { if (!fingers.size) pan = null; event.stopPropagation(); return }
    if (stroke && event.pointerId === stroke.id) { event.stopPropagation(); event.type === "pointercancel" ? cancel() : finish() }
  }
  const leave = () => { ring.hidden = true }
  const listens = [["pointerdown", down], ["pointermove", move], ["pointerup", up], ["pointercancel", up]]
  for (const [name, act] of listens) box.addEventListener(name, act, true)
  box.addEventListener("pointerleave", leave)
  function resizeRing() { ring.style.width = ring.style.height = `${(model.view.ring_px || 20) * view.zoom}px` }

  // --- keys
  const inField = event => {
    const at = event.composedPath()[0]
    return at && (at.isContentEditable || at.tagName === "TEXTAREA" || at.tagName === "SELECT" ||
      (at.tagName === "INPUT" && !["range", "checkbox", "radio", "button"].includes(at.type)))
  }
  const key = event => {
    if (!host.isConnected || inField(event) || event.altKey || isLost(el)) return
    if (!model.view.page && !event.composedPath().includes(frameOf(el))) return
    const ctrl = event.ctrlKey || event.metaKey, name = event.key.length === 1 ? event.key.toLowerCase() : event.key
    const at = event.composedPath()[0], pressed = at.matches?.("button, a, input, summary, [role=option]")
    if (!ctrl && ["+", "=", "-", "0"].includes(name)) {
      event.preventDefault()
      return zoomTo(name === "0" ? 1 : view.zoom * (name === "-" ? 1 / 1.5 : 1.5))
    }
    if (name === " " && !pressed) { space = true; event.preventDefault(); return }
    let what = null
    if (ctrl && name === "z") what = event.shiftKey ? "redo" : "undo"
    else if (ctrl && name === "y") what = "redo"
    else if (!ctrl) what = KEYS[name]
    if (!what || (at.tagName === "INPUT" && name.startsWith("Arrow"))) return
    if (name === "Enter" && pressed) return
    if (name === "Escape" && stroke) { cancel(); return }
    if (name !== "Escape") event.preventDefault()
    if (["brush", "eraser", "lasso", "box"].includes(what)) chosen.tool = what
    if (what === "polarity") chosen.polarity = chosen.polarity === "include" ? "exclude" : "include"
    say(what)
  }
  const keyup = event => { if (event.key === " ") space = false }
  document.addEventListener("keydown", key); document.addEventListener("keyup", keyup)
  // Bokeh marks a clicked figure with dots; the mark is for those who came by the keyboard.
  const focus = event => {
    const at = event.composedPath()[0]
    if (at.classList?.contains("bk-events")) at.style.outline = at.matches(":focus-visible") ? "" : "none"
  }
  document.addEventListener("focusin", focus)
  model.on("remove", () => {
    document.removeEventListener("keydown", key); document.removeEventListener("keyup", keyup); document.removeEventListener("focusin", focus)
    for (const [name, act] of listens) box.removeEventListener(name, act, true)
    box.removeEventListener("pointerleave", leave); box.removeEventListener("wheel", wheel, true)
  })
  let width = 0
  const watch = new ResizeObserver(() => {
    const now = Math.round(host.getBoundingClientRect().width)
    if (now && now !== width) { width = now; say("canvas_width", {value: now}); zoomTo(1) }
  })
  watch.observe(host)
  let inked = 0, picture = "", known = ""
  follow(model, given => {
    if (known !== `${given.tool} ${given.polarity}`) {
      known = `${given.tool} ${given.polarity}`
      Object.assign(chosen, {tool: given.tool || "brush", polarity: given.polarity || "include"})
    }
    if (given.page && !document.querySelector("meta[name=viewport]"))  // else a phone shows a page 980 px wide
      document.head.append(Object.assign(document.createElement("meta"), {name: "viewport", content: "width=device-width, initial-scale=1"}))
    if (given.page) { document.body.style.margin = "0"; document.body.style.padding = "0"; document.body.style.overflow = "hidden"; document.documentElement.style.colorScheme = given.theme; document.body.style.background = given.background }
    put(hint, {text: given.hint || "", hidden: !given.hint})
    put(outside, {text: given.outside || "", hidden: !given.outside || !!given.hint})
    if (given.inked !== inked) { inked = given.inked; setTimeout(() => { kept = null; redraw() }, 60) }
    if (given.picture !== picture) { picture = given.picture; stroke = kept = null; zoomTo(1) }
    resizeRing()
    host.style.pointerEvents = "none"
  })
}
