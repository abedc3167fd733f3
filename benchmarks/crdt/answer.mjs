/** Measures one row of one question; what a fresh process is asked for. */
export async function answer({ module, id, context }) {
  const { rows, measure } = await import(module);
  return measure(
    rows.find((row) => row.id === id),
    context,
  );
}
