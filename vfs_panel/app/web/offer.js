function progressBar(label) {
  const fill = h("i"), node = h("div", {class: "bar2", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100}, fill)
  const update = view => {
    const percent = Math.round(100 * view.share)
    fill.style.width = `${view.known ? percent : 0}%`
    put(node, {"aria-valuenow": view.known ? percent : null, "aria-valuetext": [view.stage, view.amount, view.left].filter(Boolean).join(", ")})
  }
  return {node, update}
}
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const button = (words, cls, act) => h("button", {type: "button", class: "btn " + cls, onclick: act, text: words})
  const title = h("h2"), state = h("span", {class: "sub cut"})
  const text = h("p", {class: "what"}), reason = h("p", {class: "reason"}), facts = h("dl", {class: "facts"}), credits = h("dl", {class: "facts credits"})
  const needs = h("p", {class: "needs"}), place = h("code"), where = h("div", {class: "cmd"}, place, copier(() => place, "Copy the path"))
  const start = button("", "primary", () => say("build")), look = button("", "", () => say("look")), back = button("", "", () => say("back"))
  const acts = h("div", {class: "row act"}, start, look, back)
  const code = h("code"), said = h("span", {class: "sub", role: "status"})
  const terminal = h("div", {class: "terminal"}, h("p", {class: "read"}), h("div", {class: "cmd"}, code, copier(() => code, "Copy the command")))
  // the build
  const bar = progressBar("Progress of the build"), stage = h("b"), amount = h("span", {class: "amount"}), left = h("span", {class: "left"})
  const cancel = button("Cancel", "", () => askToStop()), stay = h("p", {class: "read", text: "It goes on when this page is closed, and every page of this server shows it."})
  const sure = h("div", {class: "row act", role: "group", "aria-label": "Stop somebody else’s build?"}, h("span", {text: "Somebody else asked for this build. What is done is kept."}),
    button("Stop it", "primary", () => { say("cancel", {sure: true}); sure.hidden = true }), button("Let it go on", "", () => { sure.hidden = true; cancel.hidden = false; cancel.focus() }))
  const live = h("div", {class: "building"}, h("div", {class: "row"}, stage, left), bar.node, h("div", {class: "row"}, amount, h("span", {class: "right"}, cancel)), sure, stay)
  const over = h("p", {class: "became"}), failed = h("div", {class: "buildfailed", role: "alert"}, icon("alert"), h("p"))
  const others = h("div", {class: "others"}), heading = h("h3", {class: "exh", text: "Other data sets"})
  const panel = h("section", {class: "offerpanel"}, h("div", {class: "row head"}, title, state),
    h("div", {class: "card"}, text, reason, facts, needs, where, failed, over, live, acts, terminal, said, credits), heading, others)
  el.append(panel)
  function copier(node, label) {
    return iconButton("copy", label, async () => {
      try { await navigator.clipboard.writeText(node().textContent); said.textContent = "Copied." }
      catch { getSelection().selectAllChildren(node()); said.textContent = "Selected: press Ctrl-C." }
    })
  }
  function askToStop() {
    if (model.view.build?.mine) return say("cancel")
    sure.hidden = false; cancel.hidden = true; sure.querySelector("button").focus()
  }
  // In one column the offer lies below the query: what was asked for is brought into sight.
  function reveal() {
    if ((frameOf(el)?.clientWidth || 1024) < 1024) requestAnimationFrame(() => panel.scrollIntoView({block: "start"}))
  }
  let shown = ""
  follow(model, view => {
    const offer = view.offer, build = view.build
    panel.hidden = !offer
    if (!offer) { shown = ""; return }
    if (shown !== offer.name) { shown = offer.name; reveal(); sure.hidden = true; cancel.hidden = false; said.textContent = "" }
    const phase = build?.phase || "", active = ["waiting", "running", "stopping"].includes(phase), opens = !!view.opens
    put(title, {text: offer.title}); put(state, {text: opens ? "is built" : active ? "is being built" : offer.state})
    put(panel, {"aria-label": offer.title})
    put(text, {text: offer.description, hidden: !offer.description}); put(reason, {text: offer.reason, hidden: !offer.reason || opens})
    for (const [list, pairs] of [[facts, offer.facts], [credits, offer.credits]]) {
      list.replaceChildren(...pairs.flatMap(([name, words]) => [h("dt", {text: name}), h("dd", {}, webLink(words))]))
      list.hidden = !pairs.length
    }
    needs.replaceChildren(...linked(offer.needs))
    put(needs, {hidden: phase !== "" || opens || !offer.needs})
    put(place, {text: offer.place}); where.hidden = !offer.place || active || opens
    // the build
    live.hidden = !active; failed.hidden = phase !== "failed"; over.hidden = !(phase === "cancelled" || opens) || active
    if (active) {
      bar.update(build); put(bar.node, {hidden: phase === "waiting"})
      put(stage, {text: build.stage}); put(left, {text: build.left}); put(amount, {text: build.amount || (phase === "running" ? "This takes a moment." : "")})
      put(cancel, {disabled: phase === "stopping"})
    }
    if (!failed.hidden) put(failed.lastChild, {text: build.error})
    put(over, {text: opens ? "Its features are there: it can be searched." : "The build was stopped. What is done is kept, and building goes on there."})
    put(start, {text: opens ? "Open" : phase === "failed" ? "Try again" : phase === "cancelled" ? "Go on building" : offer.button, hidden: active || !(opens || offer.button),
      onclick: () => say(opens ? "open" : "build")})
    put(look, {text: offer.again, hidden: active || opens || !offer.again})
    put(back, {text: offer.back ? "Back to " + offer.back : "", hidden: !offer.back})
    acts.hidden = start.hidden && look.hidden && back.hidden
    put(code, {text: offer.command}); terminal.hidden = !offer.command || active || opens
    put(terminal.firstChild, {text: offer.off ? "Nothing is built from this page. In a terminal on the server, run:" : offer.place ? "Then, in a terminal:" : "Or in a terminal:"})
    heading.hidden = others.hidden = !view.others?.length
    others.replaceChildren(...(view.others || []).map(([name, words, mark]) => h("button", {type: "button", class: "other", onclick: () => say("other", {name})},
      h("b", {class: "cut", text: words}), h("span", {class: "sub", text: mark || "built"}))))
  })
}
