// A second viewer beside the first: the same page once more, in a frame of the size of a phone, with a connection of its own.

/** Shows the frame in `box` while it is open. `viewer` is the first viewer's name. */
export function makeBeside(box, viewer) {
  let frame = null;
  let shown = null;

  function turnTo(groupID) {
    if (!frame || shown === groupID) return;
    shown = groupID;
    const address = new URL('/', location.href);
    address.search = new URLSearchParams({ room: groupID, user: `${viewer.slice(0, 25)}-beside`, alone: '' });
    frame.src = address.href;
  }

  return {
    turnTo,
    open(groupID) {
      frame = document.createElement('iframe');
      frame.title = 'A second viewer of this room';
      box.replaceChildren(frame);
      turnTo(groupID);
    },
    close() {
      box.replaceChildren();
      frame = shown = null;
    },
  };
}
