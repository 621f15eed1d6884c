// The brush's ring follows the pointer over the canvas below; keys are those of the whole page.
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const host = el.getRootNode().host, box = host.getRootNode().host || host.parentElement
  const ring = h("div", {class: "cursor", hidden: true}), hint = h("div", {class: "hintline"}), outside = h("div", {class: "outsidewords"})
  el.append(h("div", {class: "over"}, outside, hint, ring))
  const move = event => {
    const at = host.getBoundingClientRect(), x = event.clientX - at.left, y = event.clientY - at.top
    ring.hidden = event.pointerType === "touch" || x < 0 || y < 0 || x > at.width || y > at.height
    ring.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`
  }
  const leave = () => { ring.hidden = true }
  box.addEventListener("pointermove", move, true); box.addEventListener("pointerleave", leave)
  const inField = event => {
    const at = event.composedPath()[0]
    return at && (at.isContentEditable || at.tagName === "TEXTAREA" || at.tagName === "SELECT" ||
      (at.tagName === "INPUT" && !["range", "checkbox", "radio", "button"].includes(at.type)))
  }
  const plain = {b: "brush", e: "eraser", "[": "smaller", "]": "larger", g: "cells", Delete: "clear", s: "from_match", d: "theme",
    "?": "help", "1": "tab1", "2": "tab2", ArrowLeft: "previous", ArrowRight: "next", Escape: "escape"}
  const key = event => {
    if (!host.isConnected || inField(event) || event.altKey) return
    if (!model.view.page && !event.composedPath().includes(model.view_root || root())) return
    const ctrl = event.ctrlKey || event.metaKey, name = event.key.length === 1 ? event.key.toLowerCase() : event.key
    let what = null
    if (ctrl && name === "z") what = event.shiftKey ? "redo" : "undo"
    else if (ctrl && name === "y") what = "redo"
    else if (!ctrl) what = plain[name]
    const at = event.composedPath()[0]
    if (!what || (at.tagName === "INPUT" && name.startsWith("Arrow"))) return
    if (name !== "Escape") event.preventDefault()
    say(what)
  }
  function root() {  // the explorer's outermost element, through the shadow roots
    let at = host
    while (at && !at.classList?.contains("vfs-root")) at = at.parentElement || at.getRootNode().host
    return at
  }
  document.addEventListener("keydown", key)
  model.on("remove", () => {
    document.removeEventListener("keydown", key); box.removeEventListener("pointermove", move, true); box.removeEventListener("pointerleave", leave)
  })
  // Bokeh marks a clicked figure with dots; the mark is for those who came by the keyboard.
  const focus = event => {
    const at = event.composedPath()[0]
    if (at.classList?.contains("bk-events")) at.style.outline = at.matches(":focus-visible") ? "" : "none"
  }
  document.addEventListener("focusin", focus)
  model.on("remove", () => document.removeEventListener("focusin", focus))
  let width = 0
  const watch = new ResizeObserver(() => {
    const now = Math.round(host.getBoundingClientRect().width)
    if (now && now !== width) { width = now; say("canvas_width", {value: now}) }
  })
  watch.observe(host)
  follow(model, view => {
    if (view.page) { document.body.style.margin = "0"; document.body.style.padding = "0"; document.body.style.overflow = "hidden"; document.documentElement.style.colorScheme = view.theme; document.body.style.background = view.background }
    put(hint, {text: view.hint || "", hidden: !view.hint})
    put(outside, {text: view.outside || "", hidden: !view.outside || !!view.hint})
    ring.style.width = ring.style.height = `${view.ring_px || 20}px`
    host.style.pointerEvents = "none"
  })
}
