/** The login dialog: a name, and the token that the server printed. */

import { useSignal } from "@preact/signals";
import { usePage } from "../context";
import { Dialog } from "./dialog";

export function LoginDialog() {
  const { app } = usePage();
  const name = useSignal("");
  const token = useSignal("");
  const problem = useSignal("");
  const login = (event: Event): void => {
    event.preventDefault();
    problem.value = "";
    app.login(name.value.trim(), token.value.trim()).catch((error: unknown) => {
      problem.value = error instanceof Error ? error.message : String(error);
    });
  };
  return (
    <Dialog title={`Log in to ${app.session.value?.project || "anymask"}`} onClose={null}>
      <form class="form" onSubmit={login}>
        <label class="field">
          <span>Your name, which your masks will carry</span>
          <input
            type="text"
            name="username"
            autocomplete="username"
            required
            maxLength={200}
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>The token that the server printed when it began</span>
          <input
            type="password"
            name="token"
            autocomplete="current-password"
            required
            value={token.value}
            onInput={(event) => (token.value = event.currentTarget.value)}
          />
        </label>
        {problem.value && (
          <p class="problem" role="alert">
            {problem.value}
          </p>
        )}
        <div class="dialog-actions">
          <button type="submit" class="button primary">
            Log in
          </button>
        </div>
      </form>
    </Dialog>
  );
}
