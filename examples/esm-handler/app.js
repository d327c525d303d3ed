// The least an app can be: an ES module whose default export is a (req, res) function.
export default (req, res) => {
  res.end(`You asked for ${req.url}\n`);
};
