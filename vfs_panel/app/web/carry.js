// Share and Export: a link, files, and queries kept in this browser. What comes back from files is data: the server checks it.
const STORED = "vfs_panel.collection"
function carryMenu(model, say) {
  const said = h("span", {class: "carrysaid", role: "status"})
  let fading = 0
  const tell = words => { said.textContent = words; clearTimeout(fading); fading = setTimeout(() => { said.textContent = "" }, 6000) }
  async function copy(text, words) {
    try { await navigator.clipboard.writeText(text); tell(words) }
    catch { spare.value = text; shown.showModal(); spare.select() }
  }
  const spare = h("textarea", {readonly: true, rows: 8, "aria-label": "To be copied"})
  const shown = h("dialog", {class: "sheet", "aria-label": "Copy by hand"}, h("div", {class: "row"}, h("h2", {text: "Press Ctrl-C to copy"}),
    h("span", {class: "right"}, iconButton("close", "Close", () => shown.close()))), spare)
  const share = iconButton("link", "Copy a link to what you see", () => say("share"), "Share")
  // the menu
  const open = iconButton("download", "Files of what you see", () => toggle(), "Export")
  put(open, {"aria-haspopup": "menu", "aria-expanded": "false"})
  const menu = h("div", {class: "menu", role: "menu", "aria-label": "Export", hidden: true})
  const file = h("input", {type: "file", accept: ".json", hidden: true, tabindex: -1, "aria-label": "Session file",
    onchange: () => { if (file.files[0]) sendSession(file.files[0]); file.value = "" }})
  function sendSession(blob) {
    if (blob.size > 30e6) return tell("This file is too large for a session: at most 30 MB.")
    sendFile({view: {max_bytes: 30e6}, send_msg: msg => model.send_msg(msg)}, blob, {})
  }
  const entry = (words, act, needs) => h("button", {type: "button", role: "menuitem", tabindex: -1, class: needs ? "needs" : "", onclick: () => { toggle(false); act() }}, words)
  function fill(view) {
    menu.replaceChildren(
      ...(view.formats || []).map(([value, words]) => entry(words, () => say("export", {value}), true)), h("hr"),
      ...(view.figures || []).map(([value, words]) => entry(words, () => say("figure", {value}), true)), h("hr"),
      entry("Copy as Python", () => say("python"), true), h("hr"),
      entry("Save session", () => say("save")), entry("Open session…", () => file.click()), entry("Collection…", () => { draw(); sheet.showModal() }))
  }
  function toggle(to = menu.hidden) {
    menu.hidden = !to; put(open, {"aria-expanded": String(to)})
    if (to) [...menu.querySelectorAll("button:not(:disabled)")][0]?.focus()
    else if (menu.contains(menu.getRootNode().activeElement)) open.focus()
  }
  menu.onkeydown = event => {
    const all = [...menu.querySelectorAll("button:not(:disabled)")], at = all.indexOf(event.target)
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key]
    if (event.key === "Escape") { event.stopPropagation(); toggle(false); open.focus() }
    if (to === undefined) return
    event.preventDefault(); event.stopPropagation()
    all[(to + all.length) % all.length].focus()
  }
  const away = event => { if (!menu.hidden && !event.composedPath().some(node => node === menu || node === open)) toggle(false) }
  document.addEventListener("pointerdown", away)
  model.on("remove", () => document.removeEventListener("pointerdown", away))
  // the collection, kept in this browser
  const list = h("div", {class: "queries"})
  const sheet = h("dialog", {class: "sheet", "aria-label": "Collection"},
    h("div", {class: "row"}, h("h2", {text: "Collection"}), h("span", {class: "right"}, iconButton("close", "Close", () => sheet.close()))),
    h("p", {class: "read", text: "Queries that you saved, with your notes. They are kept in this browser; download them to share or keep them."}),
    h("div", {class: "row doing"}, h("button", {type: "button", class: "btn primary", text: "Save this query", onclick: () => say("collect")}),
      h("button", {type: "button", class: "btn", text: "Download collection", onclick: () => download("vfs_collection.json", "application/json", new Blob([JSON.stringify(load())]))}),
      h("button", {type: "button", class: "btn", text: "Open collection file", onclick: () => many.click()})), list)
  const many = h("input", {type: "file", accept: ".json", hidden: true, tabindex: -1, "aria-label": "Collection file", onchange: async () => {
    const blob = many.files[0]
    many.value = ""
    if (!blob) return
    try {
      const found = JSON.parse(await blob.text()).filter(plain)
      keep([...load(), ...found]); draw()
      tell(`${found.length} queries were added.`)
    } catch { tell("This is no collection: nothing was added.") }
  }})
  sheet.append(many)
  const plain = q => q && ["title", "note", "saved", "url", "ink", "document"].every(name => typeof q[name] === "string") && [q.url, q.ink].every(url => url.startsWith("data:image/"))
  function load() { try { return JSON.parse(localStorage.getItem(STORED) || "[]").filter(plain) } catch { return [] } }
  function keep(queries) {
    try { localStorage.setItem(STORED, JSON.stringify(queries)) }
    catch { tell("The browser has no more room: download the collection and delete some of it.") }
  }
  function draw() {
    const queries = load()
    list.replaceChildren(...(queries.length ? queries.map((query, at) => {
      const change = name => event => { const now = load(); now[at][name] = event.target.value; keep(now) }
      return h("div", {class: "query"}, h("span", {class: "pic"}, h("img", {src: query.url, alt: ""}), h("img", {src: query.ink, alt: "", class: "ink"})),
        h("div", {}, h("input", {class: "name", value: query.title, "aria-label": "Title", maxlength: 200, onchange: change("title")}),
          h("textarea", {rows: 2, value: query.note, "aria-label": "Note", placeholder: "Note", maxlength: 4000, onchange: change("note")}), h("span", {class: "sub", text: `Saved ${query.saved}`})),
        h("div", {class: "act"}, h("button", {type: "button", class: "btn", text: "Open", onclick: () => { sheet.close(); say("reopen", {document: query.document}) }}),
          h("button", {type: "button", class: "link", text: "Delete", onclick: () => { const now = load(); now.splice(at, 1); keep(now); draw() }})))
    }) : [h("p", {class: "sub", text: "Nothing is saved yet."})]))
  }
  function download(name, media, blob) {
    const url = URL.createObjectURL(new Blob([blob], {type: media}))
    const link = h("a", {href: url, download: name})
    document.body.append(link); link.click(); link.remove()
    setTimeout(() => URL.revokeObjectURL(url), 30000)
  }
  const node = h("div", {class: "carry"}, said, share, h("span", {class: "anchor"}, open, menu), file, sheet, shown)
  let given = 0, search = ""
  const update = view => {
    if (!menu.children.length && view.formats) fill(view)
    menu.querySelectorAll(".needs").forEach(button => put(button, {disabled: !view.can_export, title: view.can_export ? null : "Paint something first"}))
    if (view.search && view.search !== search) { search = view.search; history.replaceState(null, "", view.search) }
    const gift = view.gift
    if (!gift || gift.number <= given) return
    given = gift.number
    if (gift.kind === "link") copy(new URL(gift.search, location.href).href, gift.words)
    if (gift.kind === "copied") copy(gift.text, gift.words)
    if (gift.kind === "file") { download(gift.name, gift.media, Uint8Array.from(atob(gift.data), c => c.charCodeAt(0))); tell(`${gift.name} is downloaded.`) }
    if (gift.kind === "query") { keep([...load(), {title: gift.title, note: "", saved: gift.saved, url: gift.url, ink: gift.ink, document: gift.document}]); draw() }
  }
  return {node, update}
}
