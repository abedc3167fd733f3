/**
 * Prints `N passed, N failed, N skipped` from vitest's JSON report and exits non-zero when anything
 * failed or nothing ran. A file that did not load and a run that broke outside its tests count as
 * one failure each, so that the line never looks better than the run was.
 */
import { readFileSync } from "node:fs";

const [reportPath, runStatus] = process.argv.slice(2);
const text = readFileSync(reportPath, "utf8");
const report = text === "" ? { testResults: [] } : JSON.parse(text);

const tests = report.testResults.flatMap((file) => file.assertionResults);
const unloaded = report.testResults.filter(
  (file) => file.status === "failed" && !file.assertionResults.some((t) => t.status === "failed"),
).length;
const count = (status) => tests.filter((test) => test.status === status).length;

const passed = count("passed");
let failed = count("failed") + unloaded;
const skipped = tests.length - passed - count("failed");
if (failed === 0 && (runStatus !== "0" || passed === 0)) {
  process.stdout.write(
    passed === 0
      ? "no test passed\n"
      : `the run ended with status ${runStatus} outside its tests\n`,
  );
  failed = 1;
}
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exitCode = failed === 0 ? 0 : 1;
