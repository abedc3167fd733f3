/** The other side of `fresh-process.mjs`: one job, one answer, and gone when the parent is. */
const answer = (message) => process.send?.(message, undefined, undefined, () => {});

process.on("disconnect", () => process.exit(1));
process.once("message", (job) => void perform(job));

async function perform({ module, call, input }) {
  try {
    const { [call]: job } = await import(module);
    answer({ result: await job(input) });
  } catch (error) {
    answer({ error: { name: error.name, message: error.message, stack: error.stack } });
  }
}
