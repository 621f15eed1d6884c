const HINTS = [[["B"], "brush"], [["E"], "eraser"], [["[", "]"], "size"], [["←", "→"], "matches"], [["?"], "all keys"]]
export function render({model, el}) {
  mendBokeh()
  const lead = h("b"), text = h("span"), action = h("button", {type: "button", class: "link", onclick: () => model.send_msg({do: "action"})})
  const build = buildLine((name, more) => model.send_msg({do: name, ...more}))
  const line = h("span", {class: "says", role: "status", "aria-live": "polite"}, lead, " ", text, " ", action)
  const keys = h("span", {class: "keys", "aria-hidden": "true"}, ...HINTS.flatMap(([names, what]) => [...names.map(k => h("kbd", {text: k})), " " + what]))
  el.append(h("div", {class: "status"}, line, build.node, keys))
  let lost = false
  // Matches of an earlier drawing fade, with the analysis of them.
  const fade = () => {
    const frame = frameOf(el), {faded} = model.view
    if (!frame) return void (gone || requestAnimationFrame(fade))
    frame.style.setProperty("--vfs-shown", faded ? ".3" : "1"); frame.style.setProperty("--vfs-shade", faded ? "grayscale(1)" : "none")
  }
  let faded = false, gone = false
  model.on("remove", () => { gone = true })
  follow(model, view => {
    if (lost) return
    if (faded !== !!view.faded) { faded = !!view.faded; fade() }
    put(lead, {text: view.lead || ""}); put(text, {text: view.text || ""}); put(action, {text: view.action || "", hidden: !view.action})
    build.update(view.build)
    keys.hidden = !build.node.hidden
  })
  if (model.view.page) whenLost(() => {
    lost = true
    const {uploaded} = model.view
    put(lead, {text: "Reconnecting."}); put(action, {hidden: true})
    put(text, {text: uploaded ? "An uploaded picture is not kept on the server: you may have to upload it again." : "Your drawing is kept."})
    closeTo(frameOf(el))
    reopen(uploaded, 0)
  })
}
// Calls once, when the connection to the server is gone: it was restarted, or the network was away for a while.
function whenLost(act) {
  let told = false
  for (const doc of Bokeh.documents) doc.on_event("connection_lost", () => { if (!told) { told = true; act() } })
}
// Takes neither strokes nor keys from now on; the status line stays, to be read.
function closeTo(frame) {
  if (!frame) return
  frame.setAttribute("data-lost", "")
  for (const part of frame.shadowRoot.children) if (!part.shadowRoot?.querySelector(".status")) part.inert = true
  frame.shadowRoot.querySelector(".vfs-main")?.classList.add("dimmed")
}
// Opens the page again once the server answers: its address holds the drawing, which the server keeps in a file.
const FIRST_MS = 400, LONGEST_MS = 5000
async function reopen(uploaded, tries) {
  // Not all at the same moment, where many people draw.
  await new Promise(done => setTimeout(done, Math.min(LONGEST_MS, FIRST_MS * 1.5 ** tries) * (0.75 + 0.5 * Math.random())))
  try {
    const answer = await fetch(location.pathname.replace(/\/$/, "") + "/metadata", {cache: "no-store"})
    if (!answer.ok) throw new Error(answer.status)
  } catch { return reopen(uploaded, tries + 1) }
  if (uploaded) {
    const address = new URL(location.href)
    address.searchParams.set("gone", "upload")
    history.replaceState(null, "", address)
  }
  location.reload()
}
