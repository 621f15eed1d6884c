export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const domain = h("button", {type: "button", class: "btn", text: "Show in its domain", onclick: () => say("in_domain")})
  el.append(h("div", {class: "row factsdo"}, h("button", {type: "button", class: "btn primary", title: "Search for the matched cells (S)", onclick: () => say("from_match")}, "Search from here"), domain))
  follow(model, view => { domain.hidden = !view.domain })
}
