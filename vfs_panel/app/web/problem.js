export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const title = h("h3"), text = h("p"), code = h("code")
  const copied = h("span", {class: "sub", role: "status"})
  const copy = iconButton("copy", "Copy the command", async () => {
    try { await navigator.clipboard.writeText(code.textContent); copied.textContent = "Copied." }
    catch { getSelection().selectAllChildren(code); copied.textContent = "Selected: press Ctrl-C." }
  })
  const cmd = h("div", {class: "cmd"}, code, copy)
  const back = h("button", {type: "button", class: "btn primary", onclick: () => say("back")})
  const again = h("button", {type: "button", class: "btn", text: "Try again", onclick: () => say("again")})
  const rebuild = h("button", {type: "button", class: "btn", text: "Build again…", onclick: () => say("rebuild")})
  const panel = h("div", {class: "storeerr", role: "alert"}, icon("alert"), h("div", {}, title, text, cmd,
    h("div", {class: "row act"}, back, again, rebuild, copied)))
  el.append(panel)
  follow(model, view => {
    panel.hidden = !view.title
    put(title, {text: view.title || ""}); put(text, {text: view.text || ""}); put(code, {text: view.command || ""})
    cmd.hidden = !view.command; put(back, {text: view.back ? "Go back to " + view.back : "", hidden: !view.back})
    rebuild.hidden = !view.rebuild
    again.classList.toggle("primary", !view.back)
  })
}
