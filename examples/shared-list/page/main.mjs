/** Puts the page together: one document over y-websocket, who is here, and the two figures. */
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { showConnection } from "./connection.mjs";
import { showLikes, showStock } from "./figures.mjs";
import { showList } from "./list.mjs";
import { showPeople } from "./people.mjs";

const doc = new Y.Doc();
const documents = `${location.origin.replace(/^http/u, "ws")}/yjs`;
const provider = new WebsocketProvider(documents, "to-do", doc);

showConnection(provider);
showPeople(provider.awareness);
showList(doc, provider.awareness);
showLikes();
showStock();
