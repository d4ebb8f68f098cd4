// The list of rooms to choose from. It knows names and nothing of counters.

const WORDS = { AVChatRoom: 'Live', ChatRoom: 'Meeting', Public: 'Public', Private: 'Private', Community: 'Community' };
const ORDER = Object.keys(WORDS);

/** A type of group in a word for people. */
export const kindOf = ({ type }) => WORDS[type] ?? type;

/** The same groups, those that anybody may enter first. */
export const inOrder = (groups) => [...groups].sort((a, b) => ORDER.indexOf(a.type) - ORDER.indexOf(b.type));

/** Shows the groups in `list`; `onChoose(groupID)` for a press. */
export function makeRooms(list, onChoose) {
  return {
    show(groups) {
      list.replaceChildren(...groups.map((group) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.dataset.group = group.groupID;
        const kind = document.createElement('span');
        kind.className = 'kind';
        kind.textContent = kindOf(group);
        button.append(group.name, ' ', kind);
        button.addEventListener('click', () => onChoose(group.groupID));
        const item = document.createElement('li');
        item.append(button);
        return item;
      }));
    },

    mark(groupID) {
      for (const button of list.querySelectorAll('button')) {
        if (button.dataset.group !== groupID) {
          button.removeAttribute('aria-current');
          continue;
        }
        button.setAttribute('aria-current', 'true');
        button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
      }
    },
  };
}
