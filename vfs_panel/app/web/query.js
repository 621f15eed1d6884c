export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  // heading and upload
  const id = h("span", {class: "id"})
  const file = h("input", {type: "file", accept: "image/*,.tif,.tiff", hidden: true, "aria-label": "Picture file", tabindex: -1,
    onchange: () => { if (file.files[0]) send(file.files[0]); file.value = "" }})
  const send = blob => sendFile(model, blob, {})
  const choose = () => file.click()
  const head = h("div", {class: "row head"}, h("h2", {text: "Query"}), id,
    iconButton("upload", "Upload a picture of your own, or paste one (Ctrl-V)", choose, "Upload"), file)
  const paste = event => {
    const blob = [...(event.clipboardData?.files || [])].find(f => f.type.startsWith("image/"))
    if (blob && el.isConnected && !isLost(el) && (onPage(el) || event.composedPath().includes(frameOf(el)))) send(blob)
  }
  document.addEventListener("paste", paste)
  model.on("remove", () => document.removeEventListener("paste", paste))
  // a picture may be dropped anywhere on the query column
  const column = () => frameOf(el)?.shadowRoot?.querySelector(".vfs-main")?.shadowRoot?.querySelector(".vfs-query")
  const drop = h("div", {class: "droptarget", hidden: true}, "Drop the picture to paint on it")
  let depth = 0
  const carries = event => [...(event.dataTransfer?.types || [])].includes("Files") && !isLost(el) && event.composedPath().includes(column())
  const dragged = {
    dragenter: event => { if (carries(event)) { event.preventDefault(); depth++; drop.hidden = false } },
    dragover: event => { if (carries(event)) { event.preventDefault(); event.dataTransfer.dropEffect = "copy" } },
    dragleave: event => { if (carries(event)) { depth = Math.max(0, depth - 1); drop.hidden = depth === 0 } },
    drop: event => {
      if (!carries(event)) return
      event.preventDefault(); depth = 0; drop.hidden = true
      if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0])
    },
  }
  for (const [name, act] of Object.entries(dragged)) document.addEventListener(name, act)
  model.on("remove", () => { for (const [name, act] of Object.entries(dragged)) document.removeEventListener(name, act) })
  // filters
  const label = select("Label", "", value => say("pick", {label: value}))
  const domain = select("Domain", "", value => say("pick", {domain: value}))
  const text = h("input", {placeholder: "e.g. 0073", "aria-label": "Find by id", maxlength: 80,
    oninput: () => { clearTimeout(text.t); text.t = setTimeout(() => say("pick", {text: text.value}), 200) }})
  const filters = h("div", {class: "row filters"}, label.node, domain.node,
    h("label", {class: "field text"}, h("span", {class: "lab", text: "Find by id"}), text),
    iconButton("shuffle", "Six others at random", () => say("shuffle")))
  // gallery
  const strip = h("div", {class: "strip", role: "listbox"})
  strip.onkeydown = event => {
    const all = [...strip.children], at = all.indexOf(event.target)
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1}[event.key]
    if (at < 0 || to === undefined) return
    event.preventDefault(); event.stopPropagation()
    all[Math.max(0, Math.min(all.length - 1, to))].focus()
  }
  const none = h("p", {class: "read none"})
  const wrong = h("div", {class: "uploaderr", role: "alert"})
  // tools
  const tool = segments("Tool", [["brush", "Brush (B)", "brush"], ["eraser", "Eraser (E)", "eraser"], ["lasso", "Lasso (L)", "lasso"], ["box", "Box (R)", "box"]],
    value => say("tool", {value}), "icons")
  const size = h("b"), range = h("input", {type: "range", "aria-label": "Brush size in picture pixels",
    oninput: () => { size.textContent = range.value; say("size", {value: Number(range.value)}) }})
  const slider = h("label", {class: "slider"}, h("span", {}, "Size ", size, " px"), range)
  const undo = iconButton("undo", "Undo (Ctrl-Z)", () => say("undo"))
  const redo = iconButton("redo", "Redo (Ctrl-Shift-Z)", () => say("redo"))
  const clear = iconButton("trash", "Clear the drawing (Delete)", () => say("clear"))
  const tools = h("div", {class: "row tools"}, tool.node, slider, h("div", {class: "btns"}, undo, redo, clear))
  el.append(h("div", {class: "querytop"}, head, filters, strip, none, wrong, tools, drop))
  let shown = ""
  const draw = view => {
    put(id, {text: view.words || "", title: view.words || ""})
    label.update(view.labels || [], view.label); domain.update(view.domains || [], view.domain)
    label.node.hidden = (view.labels || []).length < 2; domain.node.hidden = (view.domains || []).length < 2
    const pictures = model.pictures || [], now = JSON.stringify(pictures)  // the same id is another picture in another set
    if (now !== shown) {
      shown = now
      strip.replaceChildren(...pictures.map(p => h("button", {type: "button", class: "g", role: "option", title: p.id,
        "aria-label": p.id, onclick: () => say("picture", {id: p.id})}, h("img", {src: p.url, alt: "", draggable: "false"}))))
    }
    const at = Math.max(0, pictures.findIndex(p => p.id === view.picture));
    [...strip.children].forEach((g, i) => put(g, {class: pictures[i].id === view.picture ? "g on" : "g",
      "aria-selected": String(pictures[i].id === view.picture), tabindex: i === at ? 0 : -1}))
    put(strip, {"aria-label": view.gallery || "Pictures"})
    put(none, {text: view.nothing ? "The pictures of a data set appear here." : "No picture is like that. Choose another label, domain or id."})
    strip.hidden = !!view.error || !pictures.length; none.hidden = !!view.error || !!pictures.length; wrong.hidden = !view.error
    if (view.error) wrong.replaceChildren(icon("alert"), h("div", {}, h("b", {text: view.error + " could not be read."}),
      ` ${view.reason ? view.reason.replace(view.error, "It") : `Use JPEG, PNG, WebP or TIFF up to ${view.max_mb} MB.`} Drawing kept. `,
      h("button", {type: "button", class: "link", text: "Choose another", onclick: choose}), " ",
      h("button", {type: "button", class: "link", text: "Close", onclick: () => say("forgive")})))
    tool.update(view.tool)
    put(range, {min: view.size_min, max: view.size_max, step: 1}); put(range, {value: String(view.size)}); put(size, {text: String(view.size)})
    range.style.setProperty("--at", `${100 * (view.size - view.size_min) / Math.max(1, view.size_max - view.size_min)}%`)
    put(undo, {disabled: !view.can_undo}); put(redo, {disabled: !view.can_redo}); put(clear, {disabled: !view.can_clear})
  }
  follow(model, draw)
  model.on("pictures", () => draw(model.view || {}))
}
