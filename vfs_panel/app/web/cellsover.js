// Over the picture of what the layer sees: the mouse, a finger or the arrow keys point at a cell, which is ringed at once.
export function render({model, el}) {
  const host = el.getRootNode().host, ring = h("div", {class: "cellring", hidden: true}), said = h("p", {class: "cellsaid", role: "status"})
  const area = h("div", {class: "cellsover", role: "application", tabindex: 0}, ring)
  el.append(area, said)
  let at = null, byKeys = false
  const place = view => {
    ring.hidden = !at
    if (!at) return
    const [width, height] = view.size_px, edge = (n, of, side) => Math.round(n * side / of)
    const x0 = edge(at.x, view.columns, width), x1 = edge(at.x + 1, view.columns, width)
    const y0 = edge(at.y, view.rows, height), y1 = edge(at.y + 1, view.rows, height)
    Object.assign(ring.style, {left: `${x0}px`, top: `${y0}px`, width: `${x1 - x0}px`, height: `${y1 - y0}px`})
  }
  const point = (to, keys) => {
    if (to && at && to.y === at.y && to.x === at.x) return
    if (!to && !at) return
    at = to; byKeys = keys
    place(model.view)
    model.send_msg(at ? {do: "point", ...at} : {do: "leave"})
  }
  const cellAt = event => {
    const box = area.getBoundingClientRect(), {rows, columns} = model.view
    const x = Math.floor((event.clientX - box.left) / box.width * columns), y = Math.floor((event.clientY - box.top) / box.height * rows)
    return x >= 0 && y >= 0 && x < columns && y < rows ? {y, x} : null
  }
  area.onpointermove = event => point(cellAt(event), false)
  area.onpointerdown = event => { point(cellAt(event), false); event.pointerType === "mouse" ? event.preventDefault() : area.focus({preventScroll: true}) }
  area.onpointerleave = event => { if (event.pointerType === "mouse") point(null, false) }  // a finger leaves by touching elsewhere
  area.onfocus = () => { if (!at && area.matches(":focus-visible")) { const [y, x] = model.view.start; point({y, x}, true) } }
  area.onblur = () => point(null, false)
  area.onkeydown = event => {
    const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key]
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Escape" && at) { event.stopPropagation(); point(null, true); return }
    if (!step) return
    event.preventDefault(); event.stopPropagation()  // elsewhere the arrows go through the matches
    const {rows, columns, start: [y, x]} = model.view, most = (n, last) => Math.min(Math.max(n, 0), last)
    point(at ? {y: most(at.y + step[0], rows - 1), x: most(at.x + step[1], columns - 1)} : {y, x}, true)
  }
  follow(model, view => {
    area.hidden = !view.on
    host.style.pointerEvents = view.on ? "" : "none"
    put(area, {"aria-label": `Cells of the query, ${view.columns} by ${view.rows} cells. Arrow keys move over the cells; similar cells light up in the matches.`})
    if (at && (!view.on || at.y >= view.rows || at.x >= view.columns)) { at = null; ring.hidden = true }
    if (view.on) { Object.assign(area.style, {width: `${view.size_px[0]}px`, height: `${view.size_px[1]}px`}); place(view) }
    put(said, {text: byKeys && at ? view.said || "" : ""})  // who points with a mouse sees the words beside it
  })
}
