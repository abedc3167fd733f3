/** What the commands that measure print. */

/** The cells of the rows of all tables, by the heading of their table. */
export function tablesIn(output: string): Map<string, string[][]> {
  const tables = new Map<string, string[][]>();
  let found: string[][] = [];
  let before = "";
  for (const line of output.split("\n")) {
    if (line.startsWith("┌")) tables.set(before, (found = []));
    else if (line.startsWith("│")) {
      found.push(
        line
          .split("│")
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    }
    before = line;
  }
  return tables;
}
