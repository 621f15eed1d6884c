export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const by = select("Groups", "sm", value => say("grouping", {value}))
  const shape = segments("Drawn as", [["rows", "Rows"], ["stacked", "Stacked"], ["overlaid", "Overlaid"], ["cumulative", "Cumulative"]], value => say("shape", {value}))
  const ends = ["from", "to"].map(name => h("input", {type: "number", step: 0.01, "aria-label": `Range of scores, ${name}`, onchange: () => change()}))
  const change = () => { if (ends.every(e => e.value !== "")) say("range", {low: Number(ends[0].value), high: Number(ends[1].value)}) }
  const count = h("b"), note = h("span", {class: "sub cut"}, count, " "), rest = h("span")
  note.append(rest)
  const clear = h("button", {type: "button", class: "link right", text: "Clear range", onclick: () => say("range", {})})
  const rows = h("button", {type: "button", class: "link", text: "Back to all rows", onclick: () => say("rows")})
  el.append(h("div", {class: "row ctl"}, by.node, shape.node, h("span", {class: "rng"}, "Range", ends[0], "to", ends[1]), note, rows, clear))
  follow(model, view => {
    by.update(view.columns || [], view.by); shape.update(view.shape)
    const range = view.range
    ends.forEach((end, i) => { if (end.getRootNode().activeElement !== end) put(end, {value: range ? range[i].toFixed(2) : ""}) })
    put(count, {text: view.count || ""}); put(rest, {text: view.note || ""}); clear.hidden = !range; rows.hidden = !view.all
  })
}
