// The builds of the server, at the right of the status line: the one that runs, and what became of the page's own.
function buildLine(say) {
  const fill = h("i"), bar = h("span", {class: "tinybar", role: "progressbar", "aria-label": "Build", "aria-valuemin": 0, "aria-valuemax": 100}, fill)
  const words = h("span", {class: "cut"}), act = h("button", {type: "button", class: "link"})
  const close = h("button", {type: "button", class: "link", text: "Dismiss", onclick: () => say("dismiss")})
  const node = h("span", {class: "buildline"}, bar, words, act, close)
  const update = build => {
    node.hidden = !build
    if (!build) return
    const {phase, title, share, known, left, name} = build, percent = Math.round(100 * share), over = phase === "done" || phase === "failed"
    bar.hidden = over; close.hidden = !over; fill.style.width = `${known ? percent : 0}%`
    put(bar, {"aria-valuenow": known ? percent : null, "aria-valuetext": [title, build.stage, left].filter(Boolean).join(", ")})
    put(words, {text: phase === "done" ? `${title} is built.` : phase === "failed" ? `${title} was not built.` : `Building ${title}` + (left ? `, ${left}` : "")})
    put(act, {text: phase === "done" ? "Open" : phase === "failed" ? "Why" : "Show", "aria-label": `${phase === "done" ? "Open" : "Show"} ${title}`,
      onclick: () => say(phase === "done" ? "openbuilt" : "showbuild", {name})})
  }
  return {node, update}
}
