"use client";
// As much of CalProvider as the pages of docs/ use: it shows the token it was given, so that a test can read it.
import { createElement } from "react";

export const CalProvider = ({ accessToken, options, children }) =>
  createElement("div", { "data-access-token": accessToken, "data-refresh-url": options.refreshUrl }, children);
