export function render({model, el}) {
  const list = h("dl", {class: "matchfacts"})
  el.append(h("div", {class: "factsbox"}, h("h3", {text: "This match"}), list))
  follow(model, view => list.replaceChildren(...(view.facts || []).flatMap(([name, words]) => [h("dt", {text: name}), h("dd", {text: words})])))
}
