const KEYS = [["Draw", [["B", "brush"], ["E", "eraser"], ["L", "lasso"], ["R", "box"], ["X", "include or exclude"], ["[ ]", "size of the brush"],
    ["Ctrl Z", "undo"], ["Ctrl Shift Z", "redo"], ["Delete", "clear the drawing"], ["G", "cells on or off"], ["+ − 0", "closer, further, whole picture"], ["Ctrl V", "paste a picture"]]],
  ["Read", [["← →", "through the matches"], ["← → ↑ ↓", "over the layer’s cells"], ["Enter", "large view of the match"], ["S", "search from the match"], ["Esc", "close what is open"],
    ["1 … 5", "tabs"], ["D", "light or dark"], ["?", "this list"]]]]
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const dataset = select("Dataset", "ds", value => say("dataset", {value}))
  const network = select("Network", "net", value => say("network", {value}))
  const layer = select("Layer", "lay", value => say("layer", {value}))
  const tier = h("span", {class: "tier"})
  const sheet = (title, cls, ...kids) => {
    const dialog = h("dialog", {class: "sheet " + cls, "aria-label": title})
    const heading = h("h2", {text: title})
    dialog.append(h("div", {class: "row"}, heading, h("span", {class: "right"}, iconButton("close", "Close", () => dialog.close()))), ...kids)
    dialog.onclick = event => { if (event.target === dialog) dialog.close() }
    return {dialog, heading}
  }
  const keys = sheet("How it works", "keysheet",
    h("p", {class: "read", text: "Paint a part of the picture. The network's features under the paint are compared with every place of every other picture; the score is the cosine of the two, 1.000 for identical. Matched cells are lit. Single keys act while no text field has the focus."}),
    h("p", {}, h("button", {type: "button", class: "link", text: "Take the tour in four steps", onclick: () => { keys.dialog.close(); say("tour") }})),
    h("div", {class: "keycols"}, ...KEYS.map(([title, rows]) => h("div", {}, h("h3", {text: title}),
      h("dl", {}, ...rows.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").map(k => k === "…" ? "… " : h("kbd", {text: k}))), h("dd", {text: what})]))))))
  const facts = h("dl", {class: "facts"})
  const about = sheet("About this dataset", "aboutsheet", facts)
  const carry = carryMenu(model, say)
  const bar = h("header", {class: "bar"},
    h("div", {class: "brand"}, h("h1", {text: "vfs_panel"}), h("span", {text: "Explorer"})),
    dataset.node, iconButton("info", "About this dataset", () => say("about")), network.node, layer.node, tier,
    h("div", {class: "right"}, carry.node,
      iconButton("sun", "Light or dark (D)", () => say("theme")),
      iconButton("help", "Help and keys (?)", () => keys.dialog.showModal())), keys.dialog, about.dialog)
  el.append(bar)
  // Panel's containers have no roles of their own: what they hold is named here, once they stand.
  function name(tries) {
    const main = frameOf(el)?.shadowRoot?.querySelector(".vfs-main")?.shadowRoot
    const query = main?.querySelector(".vfs-query"), work = main?.querySelector(".vfs-work")
    if (!query || !work) return void (tries < 50 && setTimeout(() => name(tries + 1), 100))
    put(query, {role: "region", "aria-label": "Query"}); put(work, {role: "main", "aria-label": "Matches"})
  }
  name(0)
  let helps = 0, abouts = 0
  follow(model, view => {
    carry.update(view)
    dataset.update(view.datasets || [], view.dataset)
    network.update(view.networks || [], view.network)
    layer.update(view.layers || [], view.layer)
    layer.node.classList.toggle("wrong", !!view.wrong)
    put(tier, {text: view.tier || "", title: view.tier || ""})
    if (view.help > helps) { helps = view.help; keys.dialog.open ? keys.dialog.close() : keys.dialog.showModal() }
    if (view.abouts > abouts) {
      abouts = view.abouts
      put(about.heading, {text: view.about_title || "About this dataset"})
      facts.replaceChildren(...(view.about || []).flatMap(([name, words]) => [h("dt", {text: name}), h("dd", {}, webLink(words))]))
      if (!about.dialog.open) about.dialog.showModal()
    }
    bar.classList.toggle("busy", !!view.busy)
  })
}
