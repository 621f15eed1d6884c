export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const words = h("span", {class: "cut"}), rank = h("b")
  const bar = h("div", {class: "selectedbar", role: "group", "aria-label": "Selected match", hidden: true}, rank, words,
    h("button", {type: "button", class: "btn", text: "Open", title: "Large view (Enter)", onclick: () => say("open")}),
    h("button", {type: "button", class: "btn primary", text: "Search from here", title: "Search for the matched cells (S)", onclick: () => say("from_match")}),
    h("button", {type: "button", class: "btn", text: "Paint on this picture", onclick: () => say("paint_match")}),
    iconButton("close", "Close (Esc)", () => say("escape")))
  const list = h("ol", {class: "sr", "aria-label": "Matches"})
  el.append(bar, list)
  follow(model, view => {
    bar.hidden = !view.rank
    put(rank, {text: view.rank ? `Match ${view.rank}` : ""}); put(words, {text: view.words || "", title: view.words || ""})
    list.replaceChildren(...(view.list || []).map(text => h("li", {text})))
  })
}
