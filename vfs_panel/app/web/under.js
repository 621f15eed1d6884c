const NAMES = ["Left", "Top", "Right", "Bottom"]
export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const polarity = segments("What a stroke does", [["include", "Include"], ["exclude", "Exclude"]], value => say("polarity", {value}))
  put(polarity.node, {title: "Include what you look for, exclude what you do not want (X)"})
  const file = h("input", {type: "file", accept: "image/*,.tif,.tiff", hidden: true, "aria-label": "Mask file", tabindex: -1,
    onchange: () => { if (file.files[0]) { sendFile(model, file.files[0], {mask: true}); toggle(false) } file.value = "" }})
  const grid = h("button", {type: "button", class: "tog", title: "Show the layer's cells (G)", onclick: () => say("cells"), text: "Grid"})
  const open = h("button", {type: "button", class: "tog", "aria-expanded": "false", text: "Box by numbers", title: "A box by numbers, or a mask from a file", onclick: () => toggle()})
  const fields = NAMES.map(name => h("input", {type: "number", step: 1, "aria-label": name + ", picture pixels", inputmode: "numeric"}))
  const words = h("p", {class: "sub"}), wrong = h("p", {class: "wrongwords", role: "alert", hidden: true})
  const form = h("form", {class: "boxform", hidden: true, onsubmit: event => {
      event.preventDefault()
      const box = fields.map(f => Number(f.value))
      const bad = fields.some(f => f.value === "" || !Number.isFinite(Number(f.value))) || box[0] >= box[2] || box[1] >= box[3]
      put(wrong, {text: bad ? "Left must be less than right, and top less than bottom." : "", hidden: !bad})
      if (!bad) { say("box", {box}); toggle(false) }
    }},
    h("div", {class: "row"}, ...fields.map((f, i) => h("label", {class: "field num"}, h("span", {class: "lab", text: NAMES[i]}), f))),
    words, wrong,
    h("div", {class: "row"}, h("button", {type: "submit", class: "btn primary", text: "Add box"}),
      h("button", {type: "button", class: "btn", text: "Close", onclick: () => toggle(false)})),
    h("p", {class: "sub maskfile"}, "Or take a mask from a file, white where it counts: ",
      h("button", {type: "button", class: "link", text: "Choose a mask", onclick: () => file.click()}), file))
  form.onkeydown = event => { if (event.key === "Escape") { event.stopPropagation(); toggle(false); open.focus() } }
  function toggle(to = form.hidden) {
    form.hidden = !to; put(open, {"aria-expanded": String(to), class: to ? "tog on" : "tog"})
    if (to) { fields[0].focus(); fields[0].select() }
  }
  el.append(h("div", {class: "under"}, h("div", {class: "row sign"}, polarity.node, h("span", {class: "right"}, grid, open)), form))
  let picture = ""
  follow(model, view => {
    polarity.update(view.polarity || "include")
    polarity.node.classList.toggle("off", !!view.erasing)
    put(grid, {class: view.cells ? "tog on" : "tog", "aria-pressed": String(!!view.cells)})
    const [height, width] = view.picture_px || [1, 1]
    put(words, {text: `Pixels of the picture, which is ${width} × ${height}.`})
    if (picture !== `${width},${height}`) {
      picture = `${width},${height}`
      ;[width * .375, height * .375, width * .625, height * .625].forEach((v, i) => { fields[i].value = Math.round(v) })
    }
  })
}
