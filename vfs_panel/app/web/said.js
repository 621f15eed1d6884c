export function render({model, el}) {
  const before = h("p", {class: "read"}), heading = h("h3"), text = h("p", {class: "read"})
  el.append(h("div", {class: "said"}, before, heading, text))
  follow(model, view => {
    for (const [node, words] of [[before, view.before], [heading, view.heading], [text, view.text]]) put(node, {text: words || "", hidden: !words})
  })
}
