// Four steps beside what they speak of. What is named is looked for by its class, through the shadow roots.
const STEPS = [
  ["Pick a picture", "These are pictures of the set. Take one, find one by its id, or upload your own.", "strip"],
  ["Paint a part of it", "Any shape will do. The search runs while you paint. Or press Next, and an example is painted for you.", "vfs-canvas"],
  ["Read the matches", "The best place of each picture, best first; 1.000 means identical to the layer. Blue lines show where. Click a match to see why it is one.", "matcheshead"],
  ["See what a score is worth", "Every picture's best score, by domain. The dashed line is what 95 % of random regions stay below. The other tabs sort, compare, test and map.", "vfs-analysis"],
]
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const title = h("h3"), text = h("p"), count = h("span", {class: "sub"})
  const back = h("button", {type: "button", class: "btn", text: "Back", onclick: () => go(at - 1)})
  const next = h("button", {type: "button", class: "btn primary", onclick: () => forward()})
  const card = h("div", {class: "tourcard", role: "dialog", "aria-label": "Tour", hidden: true}, h("div", {class: "row"}, title,
    h("span", {class: "right"}, iconButton("close", "End the tour", () => end()))), text, h("div", {class: "row"}, count, h("span", {class: "right"}, back, next)))
  const ring = h("div", {class: "tourring", hidden: true, "aria-hidden": "true"})
  el.append(ring, card)
  card.onkeydown = event => {
    const act = {Escape: end, ArrowRight: forward, ArrowLeft: () => go(at - 1)}[event.key]
    if (act) { event.preventDefault(); event.stopPropagation(); act() }
  }
  let at = -1, begun = 0
  function find(node, name) {
    for (const child of [...(node.shadowRoot?.children || []), ...node.children]) {
      if (child.classList?.contains(name)) return child
      const found = find(child, name)
      if (found) return found
    }
    return null
  }
  function forward() {
    if (at === 1 && !model.view.painted) say("example", {number: 0})
    at === STEPS.length - 1 ? end() : go(at + 1)
  }
  function end() { at = -1; card.hidden = ring.hidden = true }
  function go(to) {
    at = Math.max(0, Math.min(STEPS.length - 1, to))
    put(title, {text: STEPS[at][0]}); put(text, {text: STEPS[at][1]}); put(count, {text: `Step ${at + 1} of ${STEPS.length}`})
    put(back, {disabled: at === 0}); put(next, {text: at === STEPS.length - 1 ? "Done" : "Next"})
    card.hidden = ring.hidden = false
    place(0)
    next.focus({preventScroll: true})
  }
  function place(tries) {
    if (at < 0) return
    const frame = frameOf(el), target = frame && find(frame, STEPS[at][2])
    const box = target?.getBoundingClientRect(), page = frame?.getBoundingClientRect()
    if (!box || !box.width || !box.height) {  // matches take a moment to come
      if (tries < 40) return void setTimeout(() => place(tries + 1), 150)
      ring.hidden = true
      return
    }
    target.scrollIntoView({block: "nearest"})
    ring.hidden = false
    Object.assign(ring.style, {left: `${box.left - page.left - 6}px`, top: `${box.top - page.top - 6}px`, width: `${box.width + 12}px`, height: `${box.height + 12}px`})
    const size = card.getBoundingClientRect(), right = box.right - page.left + 20
    const beside = right + size.width < page.width - 16
    const left = beside ? right : Math.max(16, Math.min(box.left - page.left, page.width - size.width - 16))
    const below = box.bottom - page.top + 20, above = box.top - page.top - size.height - 20
    const top = beside ? box.top - page.top : below + size.height < page.height - 16 ? below : Math.max(16, above)
    Object.assign(card.style, {left: `${left}px`, top: `${Math.min(top, page.height - size.height - 16)}px`})
  }
  const again = () => place(0)
  window.addEventListener("resize", again)
  model.on("remove", () => window.removeEventListener("resize", again))
  follow(model, view => {
    if (view.begun > begun) { begun = view.begun; go(0) }
  })
}
