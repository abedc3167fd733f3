/** A peer, as one who only asks finds it: reach, token, versions, clock. It keeps nothing of it. */
import { systemEnvironment } from "../../environment.ts";
import { OverloadedError, UnauthorizedError } from "../../errors.ts";
import { frameVersion } from "../../store/frame.ts";
import { type Hello, protocolVersions } from "../../sync/message.ts";
import { PeerWitness } from "../../sync/peer-witness.ts";
import { questionsAtFirst, questionsKnown } from "../../sync/question.ts";
import { webSocketTransport } from "../../sync/transport/websocket.ts";
import { type DialOptions, dialTarget } from "../dialing.ts";
import { quoted } from "../table.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

/** Peers that differ by more are refused at the handshake, by default. */
const offsetMsMax = 60_000;
const offsetMsWarned = 1_000;

/** What a peer says. */
export async function checkPeer(url: string, options: DialOptions): Promise<Finding[]> {
  const check = `peer ${url}`;
  const beganMs = Date.now();
  let peer: PeerWitness;
  try {
    peer = await PeerWitness.open({
      target: dialTarget(url, options),
      transport: webSocketTransport(systemEnvironment),
      environment: systemEnvironment,
    });
  } catch (error) {
    return [unreached(check, error)];
  }
  const tookMs = Date.now() - beganMs;
  const { hello } = peer;
  await peer.close();
  const token = options.token === undefined ? "it asks for no token" : "the token is accepted";
  return [
    ok(check, `${quoted(hello.name, 40)} answers within ${tookMs} ms, ${token}`),
    versionsOf(check, hello),
    clockOf(check, hello.wallMs - (beganMs + tookMs / 2), tookMs / 2),
  ];
}

function unreached(check: string, error: unknown): Finding {
  if (error instanceof UnauthorizedError) {
    const says = `the token, or the certificate, is refused: ${reasonOf(error)}`;
    return failed(
      check,
      says,
      "give --token (or TRELLIS_TOKEN), --cert and --key as the peer wants",
    );
  }
  if (error instanceof OverloadedError) {
    return warning(check, `it takes no more: ${reasonOf(error)}`, "ask again in a while");
  }
  const remedy = "is it running, is the port open, is the URL right (ws:// or wss://)?";
  return failed(check, reasonOf(error), remedy);
}

function versionsOf(check: string, { versions, frameVersion: frames, questions }: Hello): Finding {
  const theirs = `protocol ${versions.min} to ${versions.max}, frames ${frames}`;
  const ours = `protocol ${protocolVersions.min} to ${protocolVersions.max}, frames ${frameVersion}`;
  if (versions.max < protocolVersions.min || versions.min > protocolVersions.max) {
    return failed(
      check,
      `it speaks ${theirs}, we ${ours}: no link is possible`,
      "upgrade the older",
    );
  }
  if ((questions ?? questionsAtFirst) < questionsKnown) {
    const says = `it speaks ${theirs}, as we do, and is older: trellis why cannot ask it`;
    return warning(check, says, "upgrade it when that is needed");
  }
  return ok(check, `it speaks ${theirs}`);
}

function clockOf(check: string, offsetMs: number, uncertainMs: number): Finding {
  const size = Math.round(Math.abs(offsetMs));
  const says = `its clock is ${size} ms ${offsetMs < 0 ? "behind" : "ahead of"} ours (within ${Math.round(uncertainMs)} ms)`;
  const remedy = "run an NTP client at both; the one that is ahead wins registers";
  if (size - uncertainMs > offsetMsMax) {
    return failed(check, `${says}: beyond ${offsetMsMax} ms links are refused`, remedy);
  }
  return size - uncertainMs > offsetMsWarned ? warning(check, says, remedy) : ok(check, says);
}
