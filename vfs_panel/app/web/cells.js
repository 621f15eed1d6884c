export function render({model, el}) {
  const lines = h("div", {class: "celllines"}), note = h("p", {class: "sub"})
  el.append(h("div", {class: "masktext"}, h("h3", {text: "What the layer sees"}), lines, note))
  follow(model, view => {
    lines.replaceChildren(...(view.lines || []).map(([number, words]) => h("p", {}, number ? h("b", {text: number}) : "", number ? " " : "", words)))
    put(note, {text: view.note || ""})
  })
}
