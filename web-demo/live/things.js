// What can be given in a room: its counter, its words, its colour and its outline in a box of 24 by 24. Facts only.

export const HEART = {
  key: 'like',
  one: 'Like',
  many: 'likes',
  colours: ['#ff4d7d', '#ff7a59', '#ff9ecb', '#b388ff', '#ffd166', '#5ce1e6'],
  path: 'M12 21C9 18.6 3 14.4 3 9a4.9 4.9 0 0 1 9-2.8A4.9 4.9 0 0 1 21 9c0 5.4-6 9.6-9 12Z',
};

export const GIFTS = [
  {
    key: 'rose',
    one: 'Rose',
    many: 'roses',
    colours: ['#ff5d8f', '#ff86ab'],
    path: 'M12 13.2c-3.4 0-5.4-2-5.4-4.7 0-1.6.7-2.7 1.5-3.6.9.9 1.9 1.1 2.6.4.5-.5.8-1.3.8-2.3 2 .4 5.9 2.1 5.9 5.5 0 2.7-2 4.7-5.4 4.7ZM11.3 13v9h1.4v-3.2c2.6.2 4.6-1.2 5.3-3.7-2.3-.5-4.2.2-5.3 1.8V13Z',
  },
  {
    key: 'crown',
    one: 'Crown',
    many: 'crowns',
    colours: ['#ffd166', '#ffb347'],
    path: 'M3 7.5l4.6 3.7L12 4.5l4.4 6.7L21 7.5 19.3 17H4.7L3 7.5ZM4.9 18.5h14.2V21H4.9v-2.5Z',
  },
  {
    key: 'rocket',
    one: 'Rocket',
    many: 'rockets',
    colours: ['#7ee8fa', '#b8f2ff'],
    path: 'M12 1.8c3 2.2 4.6 5.3 4.6 8.9v3.1l2.6 2.7v3.7l-4.2-1.7h-6l-4.2 1.7v-3.7l2.6-2.7v-3.1c0-3.6 1.6-6.7 4.6-8.9ZM12 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4ZM10.2 19.5h3.6L12 23.2l-1.8-3.7Z',
  },
];

export const THINGS = [HEART, ...GIFTS];

/** Digits in groups of three, every one of them. */
export const digits = (value) => value.toLocaleString('en-US');
