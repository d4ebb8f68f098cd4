// The buttons that open and close the panels beside and below the stage.

/** `panels` is `{ id: { open(), close() } }`; opening moves the keyboard to the panel. */
export function makePanels(panels) {
  for (const button of document.querySelectorAll('[data-panel]')) {
    const section = document.getElementById(button.dataset.panel);
    button.addEventListener('click', () => {
      const opens = section.hidden;
      section.hidden = !opens;
      button.setAttribute('aria-expanded', String(opens));
      document.body.toggleAttribute(`data-${section.id}`, opens);
      const panel = panels[section.id];
      if (opens) panel.open();
      else panel.close();
      if (opens) section.focus();
    });
  }
}
