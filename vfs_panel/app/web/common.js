// Helpers that every part shares. Texts are set as text, never as HTML; only the icons below are markup.
const ICONS = {
  down: '<path d="m7 9 4 4 4-4"/>',
  upload: '<path d="M11 14V5M7.5 8.5 11 5l3.500 3.500M4.500 15.500V18h13v-2.500"/>',
  shuffle: '<path d="M3.500 6.500h3l7 9h5M3.500 15.500h3l2-2.600M11.500 9.100l2-2.600h5M16 4l2.500 2.500L16 9M16 13l2.500 2.500L16 18"/>',
  sun: '<circle cx="11" cy="11" r="3.600"/><path d="M11 3v2M11 17v2M3 11h2M17 11h2M5.300 5.300l1.400 1.400M15.300 15.300l1.400 1.400M5.300 16.700l1.400-1.400M15.300 6.700l1.400-1.400"/>',
  help: '<circle cx="11" cy="11" r="7.500"/><path d="M8.900 8.900a2.200 2.200 0 1 1 3.200 2c-.8.400-1.100.9-1.100 1.700M11 15v.2"/>',
  alert: '<path d="M11 4 3.500 17.500h15zM11 9v4M11 15.200v.2"/>',
  brush: '<path d="M4 16c1.8 0 3-1.1 3-2.8a2.4 2.4 0 0 1 4.8 0c0 2.6-2.1 4.6-4.9 4.6-1.3 0-2.3-.6-2.9-1.8zM11.2 10.6l6-7.2c.7-.8 1.9.2 1.3 1.1l-5 7.9"/>',
  eraser: '<path d="M8.5 17h9M5.2 13.1l7.6-8.4a1.2 1.2 0 0 1 1.7 0l3 2.8a1.2 1.2 0 0 1 .1 1.7L11 16.4 8.5 17H7l-1.8-1.9a1.4 1.4 0 0 1 0-2zM8.7 9.2l5 4.6"/>',
  lasso: '<path d="M11 4.500c4 0 7 1.900 7 4.700s-3 4.700-7 4.700-7-1.900-7-4.700S7 4.500 11 4.500zM7.500 13.200c-.6 1-.4 2.200.5 2.700 1 .5 2-.2 1.900-1.300M8 15.900c.2 1.200-.2 2-1 2.600"/>',
  box: '<path d="M5 5h12v12H5z" stroke-dasharray="2.500 2"/>',
  undo: '<path d="M8 5 4.5 8.5 8 12M5 8.5h8a4 4 0 0 1 0 8h-3"/>',
  redo: '<path d="m14 5 3.5 3.5L14 12M17 8.5H9a4 4 0 0 0 0 8h3"/>',
  trash: '<path d="M5 6h12M9 6V4h4v2M6.5 6l.8 11.5h7.4L15.500 6"/>',
  enlarge: '<path d="M12.500 4.500h5v5M17.500 4.500l-5.500 5.500M9.500 17.500h-5v-5M4.500 17.500l5.500-5.500"/>',
  shrink: '<path d="M17.500 4.500 12 10M12 5.500V10h4.500M4.500 17.500 10 12M5.500 12H10v4.500"/>',
  copy: '<path d="M8 8h9v9H8zM5 14V5h9"/>',
  filter: '<path d="M4 6h14M7 11h8M9.500 16h3"/>',
  info: '<circle cx="11" cy="11" r="7.500"/><path d="M11 10v5M11 7.200v.2"/>',
  back: '<path d="m12.500 6-5 5 5 5"/>',
  forth: '<path d="m9.500 6 5 5-5 5"/>',
  plus: '<path d="M11 5v12M5 11h12"/>',
  link: '<path d="M9.500 12.500 12.500 9.500M8.500 9.500l-2.600 2.600a3 3 0 0 0 4.200 4.200l2.600-2.600M13.500 12.500l2.600-2.600a3 3 0 0 0-4.200-4.200L9.300 8.300"/>',
  download: '<path d="M11 4.500v9M7.500 10 11 13.500 14.500 10M4.500 15.500V18h13v-2.500"/>',
  close: '<path d="m6 6 10 10M16 6 6 16"/>',
}
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 22 22"); svg.setAttribute("class", "ic"); svg.setAttribute("aria-hidden", "true")
  svg.innerHTML = ICONS[name]
  return svg
}
function put(node, attrs) {
  for (const [key, value] of Object.entries(attrs)) {
    if (key.startsWith("on")) node[key] = value
    else if (key === "text") { if (node.textContent !== value) node.textContent = value }
    else if (["value", "checked", "disabled", "hidden"].includes(key)) { if (node[key] !== value) node[key] = value }
    else if (value === null || value === false) node.removeAttribute(key)
    else if (node.getAttribute(key) !== String(value)) node.setAttribute(key, value === true ? "" : value)
  }
  return node
}
function h(tag, attrs = {}, ...kids) {
  const node = put(document.createElement(tag), attrs)
  node.append(...kids.filter(kid => kid !== null))
  return node
}
function iconButton(name, label, onclick, words = "") {
  const cls = "ib" + (words ? " txt" : "")
  return h("button", {type: "button", class: cls, title: label, "aria-label": label, onclick}, icon(name),
           words ? h("span", {class: "w", text: words}) : null)
}
// A select with its name on the border. update(options, value): options are [value, words].
function select(label, cls, onpick) {
  const field = h("select", {"aria-label": label, onchange: () => onpick(field.value)})
  const node = h("label", {class: "field " + cls}, h("span", {class: "lab", text: label}), field, icon("down"))
  let known = ""
  const update = (options, value) => {
    const now = JSON.stringify(options)
    if (now !== known) {
      known = now
      field.replaceChildren(...options.map(([key, words]) => Object.assign(h("option", {text: words}), {value: key})))
    }
    put(field, {value})
    put(node, {title: field.selectedOptions[0]?.text || null})  // a long name is cut in the field
  }
  return {node, field, update}
}
// Buttons of which one is pressed; arrows move. update(value).
function segments(label, options, onpick, cls = "") {
  const node = h("div", {class: "seg " + cls, role: "radiogroup", "aria-label": label})
  const buttons = options.map(([key, words, sign]) => h("button", {
    type: "button", role: "radio", title: sign ? words : null, "aria-label": sign ? words : null,
    onclick: () => onpick(key)}, sign ? icon(sign) : words))
  node.append(...buttons)
  node.onkeydown = event => {
    const at = buttons.indexOf(event.target), step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key]
    if (at < 0 || !step) return
    event.preventDefault(); event.stopPropagation()
    const to = (at + step + buttons.length) % buttons.length
    buttons[to].focus(); onpick(options[to][0])
  }
  const update = value => options.forEach(([key], i) => put(buttons[i], {
    "aria-checked": String(key === value), tabindex: key === value ? 0 : -1}))
  return {node, update}
}
// A link to another site, from data: only to the web, and it learns nothing of this page. Anything else stays text.
function webLink(words) {
  if (!/^https?:[/][/][^\s]+$/.test(words)) return words
  return h("a", {class: "link", href: words, target: "_blank", rel: "noopener noreferrer", text: words})
}
// A text with its addresses as links.
function linked(words) {
  return words.split(/(https?:[/][/][^\s,]*[^\s,.;:)])/).map(part => webLink(part))
}
// Runs now and on every change of the view.
function follow(model, draw) {
  const run = () => draw(model.view || {})
  model.on("view", run)
  run()
}
// The explorer's outermost element, through the shadow roots; null until the part stands in it.
function frameOf(el) {
  let node = el.getRootNode().host
  while (node && !node.classList?.contains("vfs-root")) node = node.parentElement || node.getRootNode().host
  return node || null
}
// Whether the server is gone and the page takes nothing until it is back.
function isLost(el) { return !!frameOf(el)?.hasAttribute("data-lost") }
// A file in pieces, as a message has a limit; what is too large is refused before it travels.
const PIECE = 400000
async function sendFile(model, blob, more) {
  const name = blob.name || "pasted picture"
  if (blob.size > model.view.max_bytes || blob.size === 0) return model.send_msg({do: "refuse", name})
  const bytes = new Uint8Array(await blob.arrayBuffer()), total = Math.ceil(bytes.length / PIECE), key = String(Math.random())
  for (let i = 0; i < total; i++) {
    let text = ""
    const piece = bytes.subarray(i * PIECE, (i + 1) * PIECE)
    for (let at = 0; at < piece.length; at += 8192) text += String.fromCharCode(...piece.subarray(at, at + 8192))
    model.send_msg({do: "piece", key, number: i, total, name, data: btoa(text), ...more})
  }
}
