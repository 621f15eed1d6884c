export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const column = select("Groups", "mid", value => say("column", {value}))
  const against = select("Against", "mid", value => say("against", {value}))
  const units = select("Interval resamples", "mid", value => say("units", {value}))
  const said = h("span", {class: "sub", role: "status"})
  const copy = h("button", {type: "button", class: "btn", text: "Copy the numbers", title: "As CSV", onclick: () => say("copy")})
  const row = h("div", {class: "row ctl", tabindex: 0, role: "group", "aria-label": "Statistics; up and down choose a group"},
    column.node, against.node, units.node, h("span", {class: "sub cut", text: "Click a row, or use up and down, to read about it."}), h("span", {class: "right"}, said, copy))
  row.onkeydown = event => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key]
    if (!step || event.composedPath()[0].tagName === "SELECT") return
    event.preventDefault(); event.stopPropagation(); say("step", {value: step})
  }
  el.append(row)
  let copies = 0
  follow(model, async view => {
    column.update(view.columns || [], view.column); against.update(view.others || [], view.against); units.update(view.resampled || [], view.units)
    units.node.hidden = (view.resampled || []).length < 2; column.node.hidden = against.node.hidden = !(view.columns || []).length
    if (view.copies > copies) {
      copies = view.copies
      try { await navigator.clipboard.writeText(view.csv); said.textContent = "Copied." }
      catch { said.textContent = "The browser did not let it be copied." }
    }
  })
}
