//! `simulate` and `device` as a user types them: a device in a process of its own, whole sessions over its
//! line, the line going bad, the plug being pulled, and what is refused.

mod loading;
mod refusals;
mod session;
mod support;
mod training;
