export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const TEXT = [["Pick a picture", "From the row at the left, or upload your own. It need not be in the dataset."],
    ["Paint a part of it", "The part can have any shape. The layer sees it as cells; that grid is shown under the picture."],
    ["Read the matches", "1.000 means identical to the layer. Lit cells show where; click one to see why."]]
  const pictures = TEXT.map(() => h("img", {alt: "", draggable: "false"})), tops = TEXT.map(() => h("img", {alt: "", class: "ink", draggable: "false"}))
  const tour = h("div", {class: "tour"}, ...TEXT.map(([title, text], i) => h("div", {class: i === 1 ? "step now" : "step"},
    h("span", {class: "pic"}, pictures[i], tops[i]), h("div", {}, h("h3", {}, h("i", {text: String(i + 1)}), title), h("p", {text})))))
  const seen = () => { try { return localStorage.getItem("vfs_panel.tour") === "seen" } catch { return false } }
  const never = h("button", {type: "button", class: "link", text: "Don’t show this again", onclick: () => {
    try { localStorage.setItem("vfs_panel.tour", "seen") } catch { /* not kept where the browser keeps nothing */ }
    guide.hidden = true
  }})
  const guide = h("div", {}, tour, h("div", {class: "row guide"},
    h("button", {type: "button", class: "btn", text: "Take the tour in four steps", onclick: () => say("tour")}), never))
  guide.hidden = seen()
  const heading = h("div", {class: "row exh"}, h("h3", {text: "Start from an example"})), examples = h("div", {class: "exs"})
  const ghosts = h("div", {class: "ghosts", "aria-hidden": "true"}, ...Array.from({length: 12}, () => h("span")))
  el.append(h("div", {class: "first"}, guide, heading, examples, ghosts))
  follow(model, view => {
    (view.tour || []).forEach(([url, top], i) => {
      put(pictures[i], {src: url || null}); put(tops[i], {src: top || null}); tops[i].hidden = !top
    })
    const list = view.examples || []
    heading.hidden = examples.hidden = !list.length
    examples.replaceChildren(...list.map((e, i) => h("button", {type: "button", class: "ex", onclick: () => say("example", {number: i})},
      h("span", {class: "pic"}, h("img", {src: e.url, alt: "", draggable: "false"}), h("img", {src: e.ink, alt: "", class: "ink", draggable: "false"})),
      h("b", {text: e.title}), h("span", {class: "sub", text: e.note}))))
  })
}
