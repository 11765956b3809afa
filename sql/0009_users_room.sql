-- Room on a page for a row's next form: a user is written at each first use, and its three indexes need not follow.
ALTER TABLE users SET (fillfactor = 80);
