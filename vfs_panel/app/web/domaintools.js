export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const by = select("Rows", "mid", value => say("by", {value}))
  const shape = segments("Drawn as", [["hill", "Hill"], ["violin", "Violin"], ["box", "Box"]], value => say("shape", {value}))
  const row = h("div", {class: "row ctl"}, by.node, shape.node)
  el.append(row)
  follow(model, view => {
    by.update(view.columns || [], view.by); shape.update(view.shape)
    by.node.hidden = (view.columns || []).length < 2
  })
}
