const KEYS = [["B", "brush"], ["E", "eraser"], ["[ ]", "size of the brush"], ["G", "cells on or off"], ["Ctrl Z", "undo"],
  ["Ctrl Shift Z", "redo"], ["Delete", "clear the drawing"], ["← →", "through the matches"],
  ["S", "search from the selected match"], ["Esc", "close what is open"], ["1 2", "tabs"], ["D", "light or dark"], ["?", "this list"]]
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const dataset = select("Dataset", "ds", value => say("dataset", {value}))
  const network = select("Network", "net", value => say("network", {value}))
  const layer = select("Layer", "lay", value => say("layer", {value}))
  const tier = h("span", {class: "tier"})
  const keys = h("dialog", {class: "keysheet", "aria-label": "Help and keys"},
    h("div", {class: "row"}, h("h2", {text: "How it works"}), h("span", {class: "right"}, iconButton("close", "Close", () => keys.close()))),
    h("p", {class: "read", text: "Paint a part of the picture. The network's features under the paint are compared with every place of every other picture; the score is the cosine of the two, 1.000 for identical. Matched cells are lit. Single keys act while no text field has the focus."}),
    h("dl", {}, ...KEYS.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").map(k => h("kbd", {text: k}))), h("dd", {text: what})])))
  keys.onclick = event => { if (event.target === keys) keys.close() }
  const bar = h("header", {class: "bar"},
    h("div", {class: "brand"}, h("b", {text: "vfs_panel"}), h("span", {text: "Explorer"})),
    dataset.node, network.node, layer.node, tier,
    h("div", {class: "right"},
      iconButton("sun", "Light or dark (D)", () => say("theme")),
      iconButton("help", "Help and keys (?)", () => keys.showModal())), keys)
  el.append(bar)
  let helps = 0
  follow(model, view => {
    dataset.update(view.datasets || [], view.dataset)
    network.update(view.networks || [], view.network)
    layer.update(view.layers || [], view.layer)
    layer.node.classList.toggle("wrong", !!view.wrong)
    put(tier, {text: view.tier || "", title: view.tier || ""})
    if (view.help > helps) { helps = view.help; keys.open ? keys.close() : keys.showModal() }
    bar.classList.toggle("busy", !!view.busy)
  })
}
