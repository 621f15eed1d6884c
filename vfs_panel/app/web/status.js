const HINTS = [[["B"], "brush"], [["E"], "eraser"], [["[", "]"], "size"], [["←", "→"], "matches"], [["?"], "all keys"]]
export function render({model, el}) {
  const lead = h("b"), text = h("span"), action = h("button", {type: "button", class: "link", onclick: () => model.send_msg({do: "action"})})
  const build = buildLine((name, more) => model.send_msg({do: name, ...more}))
  const line = h("span", {class: "says", role: "status", "aria-live": "polite"}, lead, " ", text, " ", action)
  const keys = h("span", {class: "keys", "aria-hidden": "true"}, ...HINTS.flatMap(([names, what]) => [...names.map(k => h("kbd", {text: k})), " " + what]))
  el.append(h("div", {class: "status"}, line, build.node, keys))
  follow(model, view => {
    put(lead, {text: view.lead || ""}); put(text, {text: view.text || ""}); put(action, {text: view.action || "", hidden: !view.action})
    build.update(view.build)
    keys.hidden = !build.node.hidden
  })
}
