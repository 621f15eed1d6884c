export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const TABS = model.view.tabs || []
  const tabs = TABS.map(([key, words]) => h("button", {type: "button", role: "tab", text: words, onclick: () => say("tab", {value: key})}))
  const list = h("div", {role: "tablist", "aria-label": "Analysis", class: "tablist"}, ...tabs)
  list.onkeydown = event => {
    const at = tabs.indexOf(event.target), step = {ArrowRight: 1, ArrowLeft: -1}[event.key]
    if (at < 0 || !step) return
    event.preventDefault(); event.stopPropagation()
    const to = (at + step + tabs.length) % tabs.length
    tabs[to].focus(); say("tab", {value: TABS[to][0]})
  }
  const sign = h("span"), words = h("span")
  const enlarge = h("button", {type: "button", class: "ib txt rev", onclick: () => say("enlarge")}, sign, words)
  el.append(h("div", {class: "tabbar"}, list, h("span", {class: "right"}, enlarge)))
  follow(model, view => {
    TABS.forEach(([key], i) => put(tabs[i], {"aria-selected": String(key === view.tab), tabindex: key === view.tab ? 0 : -1}))
    sign.replaceChildren(icon(view.enlarged ? "shrink" : "enlarge")); put(words, {text: view.enlarged ? "Back to matches" : "Enlarge"})
    enlarge.classList.remove("rev")
  })
}
