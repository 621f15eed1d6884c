// What the layer sees, in words; while a cell is pointed at, what is like it, in the same room.
export function render({model, el}) {
  const lines = h("div", {class: "celllines"}), note = h("p", {class: "sub"})
  const apart = segments("Parts that do not touch", [["together", "Keep places"], ["apart", "Find each"]],
    value => model.send_msg({do: "apart", value}), "small")
  const heading = h("p", {class: "likecell", text: "Cell"}), text = h("p", {class: "sub", text: "Similar cells in each match; best 0.000 in match 1."}), top = h("span"), scale = h("p", {class: "likescale"}, h("span", {text: "0"}), h("i"), top)
  // Words of the usual length keep the room until the first cell is pointed at.
  const own = h("div", {}, lines, note, apart.node), like = h("div", {class: "like"}, heading, text, scale)
  el.append(h("div", {class: "masktext"}, h("h3", {text: "What the layer sees"}), h("div", {class: "cellroom"}, own, like)))
  follow(model, view => {
    lines.replaceChildren(...(view.lines || []).map(([number, words]) => h("p", {}, number ? h("b", {text: number}) : "", number ? " " : "", words)))
    put(note, {text: view.note || ""})
    apart.node.hidden = !(view.parts > 1); apart.update(view.apart ? "apart" : "together")
    own.style.visibility = view.like ? "hidden" : ""; like.style.visibility = view.like ? "" : "hidden"
    if (!view.like) return
    put(heading, {text: view.like.heading}); put(text, {text: view.like.text})
    put(top, {text: `${view.like.top.toFixed(1)} score of each cell alone`}); scale.hidden = !view.like.top
  })
}
