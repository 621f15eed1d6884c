export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const title = h("h2"), score = h("b", {class: "bigscore"}), words = h("span", {class: "sub cut"})
  const before = h("button", {type: "button", class: "ib txt", "aria-label": "Previous match", onclick: () => say("previous")})
  const after = h("button", {type: "button", class: "ib txt", "aria-label": "Next match", onclick: () => say("next")})
  const close = iconButton("close", "Close (Esc)", () => say("close"), "Close")
  const mode = segments("How the picture is shown", [["picture", "Picture"], ["heat", "Heat map"], ["both", "Both"]], value => say("mode", {value}))
  const own = h("button", {type: "button", class: "link", text: "Back to the matched place", onclick: () => say("own_place")})
  el.append(h("div", {class: "detailtop"},
    h("div", {class: "row head"}, title, score, words, h("span", {class: "right"}, before, after, close)),
    h("div", {class: "row modes"}, mode.node, h("span", {class: "sub cut", text: "Score with the region centred on each cell"}), own)))
  follow(model, view => {
    put(title, {text: `Match ${view.rank || ""}`}); put(score, {text: view.score || ""}); put(words, {text: view.words || "", title: view.words || ""})
    before.replaceChildren(icon("back"), h("span", {text: view.rank > 1 ? String(view.rank - 1) : "–"}))
    after.replaceChildren(h("span", {text: view.rank < view.last ? String(view.rank + 1) : "–"}), icon("forth"))
    put(before, {disabled: !(view.rank > 1)}); put(after, {disabled: !(view.rank < view.last)})
    mode.update(view.mode); own.hidden = !view.chosen
  })
}
