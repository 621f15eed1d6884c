export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const sub = h("span", {class: "sub cut"})
  const k = select("Show", "k", value => say("matches", {k: Number(value)}))
  const mode = segments("Which matches", [["picture", "Best per picture"], ["several", "Several"], ["domain", "Best per domain"]],
    value => say("matches", {mode: value}))
  const domain = select("Domain", "sm", value => say("matches", {domain: value}))
  const label = select("Label", "sm", value => say("matches", {label: value}))
  const choices = h("div", {class: "right"}, k.node, mode.node, domain.node, label.node)
  el.append(h("div", {class: "row head matcheshead"}, h("h2", {text: "Matches"}), sub, choices))
  follow(model, view => {
    put(sub, {text: view.sub || ""})
    k.update(view.ks || [], String(view.k)); mode.update(view.mode)
    domain.update(view.domains || [], view.domain); label.update(view.labels || [], view.label)
    domain.node.hidden = (view.domains || []).length < 3; label.node.hidden = (view.labels || []).length < 3
    choices.hidden = !view.choices
  })
  let width = 0
  const watch = new ResizeObserver(() => {
    const now = Math.floor(el.getBoundingClientRect().width)
    if (now && now !== width) { width = now; say("width", {value: now}) }
  })
  watch.observe(el)
}
