// Prints what the vendor's Node package signs: node generate.js APP SECRET USER SECONDS [USERBUF-HEX]
const { Api } = require('tls-sig-api-v2');

const [app, secret, user, seconds, userbuf] = process.argv.slice(2);
const api = new Api(Number(app), secret);
console.log(userbuf ? api.genSig(user, Number(seconds), Buffer.from(userbuf, 'hex')) : api.genSig(user, Number(seconds)));
