export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const sub = h("span", {class: "sub cut"})
  const set = more => say("matches", more)
  // how many: typed, or one of the usual numbers
  const usual = h("datalist", {id: "ks"})
  const many = h("input", {type: "number", min: 1, step: 1, list: "ks", "aria-label": "Show, number of matches",
    onchange: () => { const k = Math.round(Number(many.value)); k >= 1 && k <= model.view.most_k ? set({k}) : put(many, {value: String(model.view.k)}) }})
  const k = h("label", {class: "field k"}, h("span", {class: "lab", text: "Show"}), many, usual)
  let per = ""
  const holder = h("span")
  let mode = null
  const column = (name, words) => select(words, "sm", value => set({column: name, value}))
  const domain = column("domain", "Domain"), label = column("label", "Label")
  // all further choices, in a menu
  const more = iconButton("filter", "Sort, and filter by any column", () => toggle())
  put(more, {"aria-expanded": "false", "aria-haspopup": "dialog"})
  const sort = select("Sort by", "", value => set({sort: value}))
  const group = select("Best per", "", value => set({per: value}))
  const others = h("div", {class: "others"})
  const menu = h("div", {class: "morematches", role: "dialog", "aria-label": "Sort and filter the matches", hidden: true}, sort.node, group.node, others)
  menu.onkeydown = event => { if (event.key === "Escape") { event.stopPropagation(); toggle(false); more.focus() } }
  function toggle(to = menu.hidden) {
    menu.hidden = !to; put(more, {"aria-expanded": String(to)})
    if (to) sort.field.focus()
  }
  const away = event => { if (!menu.hidden && !event.composedPath().some(n => n === menu || n === more)) toggle(false) }
  document.addEventListener("pointerdown", away)
  model.on("remove", () => document.removeEventListener("pointerdown", away))
  const choices = h("div", {class: "right"}, k, holder, domain.node, label.node, h("span", {class: "anchor"}, more, menu))
  const head = h("div", {class: "row head matcheshead"}, h("h2", {text: "Matches"}), sub, choices)
  const chips = h("div", {class: "chips", role: "group", "aria-label": "Filters in use"})
  el.append(head, chips)
  let known = "", selects = []
  follow(model, view => {
    head.hidden = view.shown === false
    put(sub, {text: view.sub || ""})
    usual.replaceChildren(...(view.ks || []).map(value => Object.assign(h("option"), {value: String(value)})))
    put(many, {max: view.most_k || 100})
    if (many.getRootNode().activeElement !== many) put(many, {value: String(view.k)})
    if (per !== view.per || !mode) {
      per = view.per
      mode = segments("Which matches", [["picture", "Best per picture"], ["several", "Several"], ["domain", "Best per " + (per || "domain")]],
        value => set({mode: value}))
      holder.replaceChildren(mode.node)
    }
    mode.update(view.mode)
    const columns = view.columns || [], filters = view.filters || {}
    const all = c => [["", `all ${c.values.length}`], ...c.values]
    for (const [name, one] of [["domain", domain], ["label", label]]) {
      const c = columns.find(c => c.name === name)
      one.node.hidden = !c
      if (c) one.update(all(c), filters[name] || "")
    }
    const rest = columns.filter(c => c.name !== "domain" && c.name !== "label"), now = JSON.stringify(rest.map(c => c.name))
    if (now !== known) {
      known = now
      selects = rest.map(c => column(c.name, c.name[0].toUpperCase() + c.name.slice(1).replaceAll("_", " ")))
      others.replaceChildren(...(rest.length ? selects.map(one => one.node) : [h("p", {class: "sub", text: "This set has no further columns to filter by."})]))
    }
    rest.forEach((c, i) => selects[i].update(all(c), filters[c.name] || ""))
    sort.update(view.sorts || [], view.sort)
    group.update(columns.filter(c => c.name !== "findings").map(c => [c.name, c.name.replaceAll("_", " ")]), view.per)
    group.node.hidden = !columns.length
    const used = Object.entries(filters).filter(([name]) => name !== "domain" && name !== "label")
    const chip = (words, clear) => h("button", {type: "button", class: "chip", "aria-label": `${words}: take this filter away`, onclick: clear}, words, icon("close"))
    chips.replaceChildren(...used.map(([name, value]) => chip(`${name.replaceAll("_", " ")}: ${value}`, () => set({column: name, value: ""}))),
      ...(view.among ? [chip(`Only ${view.among}`, () => set({among: null}))] : []))
    chips.hidden = !chips.children.length || head.hidden
    choices.hidden = !view.choices
  })
  let width = 0
  const watch = new ResizeObserver(() => {
    const now = Math.floor(el.getBoundingClientRect().width)
    if (now && now !== width) { width = now; say("width", {value: now}) }
  })
  watch.observe(el)
}
