// CommonJS: module.exports is the app. A `close` beside it runs after the last answer.
const started = new Date();

module.exports.app = (_req, res) => {
  res.end(`Up since ${started.toISOString()}\n`);
};

module.exports.close = () => {
  console.log('closing');
};
