export function render({model, el}) {
  const title = h("h2"), text = h("p"), list = h("ul", {class: "sub"})
  el.append(h("header", {class: "bar"}, h("div", {class: "brand"}, h("h1", {text: "vfs_panel"}), h("span", {text: "Explorer"}))),
    h("main", {class: "nothing"}, title, text, list))
  follow(model, view => {
    put(title, {text: view.title || ""}); put(text, {text: view.text || ""})
    list.replaceChildren(...(view.problems || []).map(words => h("li", {text: words})))
  })
}
