// The pieces of the compare tab; `kind` of the view says which one this is.
const KINDS = {
  // the head of a row: what is searched, and what can be done with it
  row(say, model) {
    const letter = h("span", {class: "ab"})
    const dataset = select("Dataset", "ds", value => say("dataset", {value}))
    const network = select("Network", "net", value => say("network", {value}))
    const layer = select("Layer", "lay", value => say("layer", {value}))
    const cells = h("span", {class: "sub cells"}), busy = h("span", {class: "sub busywords", text: "Searching…"}), note = h("span", {class: "sub note"})
    const use = h("button", {type: "button", class: "btn small", text: "Use this layer", title: "Search with this layer, and compare with the one that was open", onclick: () => say("use")})
    const add = iconButton("plus", "Add a layer or network", () => say("add"), "Add a layer or network")
    const remove = iconButton("close", "Take this row away", () => say("remove"))
    const words = h("span"), command = h("code"), error = h("div", {class: "rowerror", role: "alert", hidden: true}, icon("alert"), h("div", {}, words, command))
    const list = h("ol", {class: "sr"})
    const node = h("div", {class: "chead", role: "group"}, h("div", {class: "row"}, letter, dataset.node, network.node, layer.node, cells, busy, note, h("span", {class: "right"}, use, add, remove)), error, list)
    return [node, view => {
      put(letter, {text: view.name || ""}); put(node, {"aria-label": `Row ${view.name}`, class: `chead ${{B: "b", C: "more", D: "more"}[view.name] || ""}`})
      for (const [one, what] of [[dataset, "Dataset"], [network, "Network"], [layer, "Layer"]]) put(one.field, {"aria-label": `${what} of ${view.name}`})
      dataset.node.hidden = !(view.datasets || []).length
      dataset.update(view.datasets || [], view.dataset); network.update(view.networks || [], view.network); layer.update(view.layers || [], view.layer)
      put(cells, {text: view.cells || ""}); busy.hidden = !view.busy; put(note, {text: view.note || ""})
      use.hidden = !view.use; add.hidden = !view.add; remove.hidden = !view.remove
      put(remove, {"aria-label": `Take row ${view.name} away`})
      error.hidden = !view.error; put(words, {text: view.error || ""}); put(command, {text: view.command || ""}); command.hidden = !view.command
      put(list, {"aria-label": `Matches of ${view.name}`}); list.replaceChildren(...(view.list || []).map(text => h("li", {text})))
    }]
  },
  // the heading of a figure
  fact() {
    const lead = h("b"), text = h("span"), extra = h("span", {class: "sub extra"})
    return [h("div", {class: "fact"}, h("h3", {}, lead, text), extra), view => {
      put(lead, {text: view.lead || ""}); put(text, {text: view.text || ""}); put(extra, {text: view.extra || ""})
    }]
  },
  // which row the figures compare with B
  pairs(say) {
    const words = h("span", {class: "sub", text: "Compared with B:"}), holder = h("span")
    let known = "", choice = null
    return [h("div", {class: "row pairs"}, words, holder), view => {
      const names = view.names || []
      if (names.join() !== known) {
        known = names.join()
        choice = segments("Row that is compared with B", names.map(name => [name, name]), value => say("pair", {value}))
        holder.replaceChildren(choice.node)
      }
      choice?.update(view.value)
    }]
  },
  // the scatter's axes and its box, by numbers too
  brush(say, model) {
    const by = segments("Axes", [["rank", "Ranks"], ["score", "Scores"]], value => say("by", {value}))
    const field = name => h("input", {type: "number", "aria-label": name, onchange: () => change()})
    const ends = [field("A, from"), field("A, to"), field("B, from"), field("B, to")]
    const change = () => {
      if (ends.some(e => e.value === "")) return
      const v = ends.map(e => Number(e.value))
      say("brush", {ranges: [[v[0], v[1]], [v[2], v[3]]]})
    }
    const of_a = h("span"), of_b = h("span", {text: "in B"})
    const count = h("b"), rest = h("span"), note = h("span", {class: "sub cut", role: "status"}, count, " ", rest)
    const back = h("button", {type: "button", class: "link", text: "Back", onclick: () => say("page", {value: -1})})
    const next = h("button", {type: "button", class: "link", text: "Next", onclick: () => say("page", {value: 1})})
    const clear = h("button", {type: "button", class: "link", text: "Clear box", onclick: () => say("brush", {})})
    const node = h("div", {class: "row ctl brush"}, by.node, h("span", {class: "rng"}, of_a, ends[0], "to", ends[1]), h("span", {class: "rng"}, of_b, ends[2], "to", ends[3]), note, h("span", {class: "right"}, back, next, clear))
    return [node, view => {
      by.update(view.by)
      const what = view.by === "score" ? "Score" : "Rank", step = view.by === "score" ? 0.01 : 1
      put(of_a, {text: `${what} in ${view.a}`}); put(of_b, {text: "in B"})
      const names = [`${what} in ${view.a}, from`, `${what} in ${view.a}, to`, `${what} in B, from`, `${what} in B, to`]
      const values = view.ranges ? view.ranges.flat() : null
      ends.forEach((end, i) => {
        put(end, {"aria-label": names[i], step, min: view.by === "score" ? null : 1})
        if (end.getRootNode().activeElement !== end || !values) put(end, {value: values ? String(values[i]) : (end.getRootNode().activeElement === end ? end.value : "")})
      })
      put(count, {text: view.count || ""}); put(rest, {text: view.note || ""})
      clear.hidden = !view.ranges; back.hidden = !view.back; next.hidden = !view.next
    }]
  },
  // there is no other layer
  nothing() {
    const text = h("p", {class: "read"}), command = h("code"), more = h("p", {class: "sub"})
    return [h("div", {class: "nothing"}, text, h("div", {class: "cmd"}, command), more), view => {
      put(text, {text: view.text || ""}); put(command, {text: view.command || ""}); put(more, {text: view.more || ""})
    }]
  },
  // where the chosen picture is in every row
  picked(say) {
    const places = h("span", {class: "places"}), id = h("span", {class: "sub cut"})
    const bar = h("div", {class: "selectedbar", role: "status", "aria-label": "Chosen picture"}, places, id, iconButton("close", "Close", () => say("close")))
    return [bar, view => {
      bar.hidden = !view.id
      places.replaceChildren(...(view.places || []).map(([name, words]) => h("span", {}, h("b", {text: name}), ` ${words}`)))
      put(id, {text: view.id || "", title: view.id || ""})
    }]
  },
}
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const [node, draw] = KINDS[model.view.kind](say, model)
  el.append(node)
  follow(model, draw)
}
