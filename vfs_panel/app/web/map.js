export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const holder = h("span")
  let method = null, known = ""
  const colour = select("Colour by", "mid", value => say("colour", {value}))
  const chip = h("button", {type: "button", class: "chip", onclick: () => say("clear")})
  const nearest = h("button", {type: "button", class: "btn", onclick: () => say("nearest")})
  el.append(h("div", {class: "row ctl"}, holder, colour.node, chip, h("span", {class: "right"}, nearest)))
  follow(model, view => {
    const now = JSON.stringify(view.methods || [])
    if (now !== known) {
      known = now
      method = segments("Method", view.methods || [], value => say("method", {value}))
      holder.replaceChildren(method.node)
      holder.hidden = (view.methods || []).length < 2
    }
    method.update(view.method)
    colour.update(view.colours || [], view.colour)
    chip.hidden = !view.among
    chip.replaceChildren(`Only the ${view.among} pictures chosen here`, icon("close"))
    put(chip, {"aria-label": `Only the ${view.among} pictures chosen here: show all again`})
    put(nearest, {text: `Choose the ${view.nearest} nearest to the selected match`, disabled: !view.selected, title: view.selected ? null : "Select a match with the arrow keys first"})
  })
}
